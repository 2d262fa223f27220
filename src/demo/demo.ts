export async function runDemo(_options: { readonly keep: boolean }): Promise<void> {
  await Promise.reject(new Error('being written'));
}
