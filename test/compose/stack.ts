import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** The services of docker-compose.yml under a name of their own, on a free port, with the images that the environment names. */
export class Stack {
  readonly project = `slackchat-bridge-test-${randomBytes(4).toString('hex')}`;
  readonly said: string[] = [];
  readonly #env = { ...process.env, BRIDGE_IMAGE: this.project, PUBLISHED_ADMIN_PORT: '0' };

  get image(): string {
    return this.project;
  }

  get network(): string {
    return `${this.project}_default`;
  }

  /** @throws {Error} with what Docker said */
  async docker(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('docker', [...args], { cwd: root, env: this.#env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  }

  async compose(...args: readonly string[]): Promise<string> {
    return this.docker('compose', '-p', this.project, ...args);
  }

  async container(service: string): Promise<string> {
    return this.compose('ps', '-aq', service);
  }

  async sql(statement: string): Promise<string> {
    return this.compose('exec', '-T', 'postgres', 'psql', '-v', 'ON_ERROR_STOP=1', '-qAtc', statement);
  }

  async say(text: string): Promise<void> {
    await this.sql(`INSERT INTO slackchat_message (timestamp, text, channel_id, user_id) SELECT clock_timestamp(), '${text}', id, owner_id FROM slackchat_channel`);
    this.said.push(text);
  }

  /** What the receiver has printed of messages, each with its `webhook-id`. */
  async received(): Promise<{ readonly content: string; readonly id: string }[]> {
    const printed = await this.compose('logs', '--no-log-prefix', 'receiver');
    return [...printed.matchAll(/ message_created .* U0SAMPLE: (.*) {2}id=(\S+)$/gmu)].map(([, content = '', id = '']) => ({ content, id }));
  }

  async arrives(text: string, timeoutMs = 60_000): Promise<void> {
    await eventually(async () => {
      const contents = (await this.received()).map(({ content }) => content);
      if (!contents.includes(text)) throw new Error(`"${text}" has not arrived, only ${contents.join(', ')}`);
    }, { timeoutMs });
  }

  async readyz(): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://${await this.compose('port', 'bridge', '4747')}/readyz`);
    return { status: response.status, text: await response.text() };
  }

  /** Takes a service's container off the network, as a cable that is pulled. */
  async cut(service: string): Promise<void> {
    await this.docker('network', 'disconnect', this.network, await this.container(service));
  }

  async join(service: string): Promise<void> {
    await this.docker('network', 'connect', '--alias', service, this.network, await this.container(service));
  }
}
