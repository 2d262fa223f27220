/**
 * Loaded before the bridge in the demo's child process. Its stdin is a pipe from the demo: when that closes, because the
 * demo ended in whatever way, kill -9 included, the bridge ends too and is not left behind without its database.
 */
process.stdin.once('close', () => process.exit(1)).resume();
// Only this pipe being open is no reason to stay.
if ('unref' in process.stdin) process.stdin.unref();
