/** Loaded into every process that is measured: tells what it has cost so far. It must not keep the process alive. */
process.on('message', (message) => {
  if (message !== 'usage') return;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  process.send?.({ usage: { cpuMs: (userCPUTime + systemCPUTime) / 1000, systemMs: systemCPUTime / 1000, peakMb: maxRSS / 1024 } });
});
process.channel?.unref();
