// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as an AbortSignal: the first one ends what is going on in good order.

export function interruptSignal(): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (): void => {
    // A second one while the first is being honoured: leave now, the guardian undoes the rest.
    if (controller.signal.aborted) process.kill(process.pid, 'SIGKILL');
    controller.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    dispose: () => {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
