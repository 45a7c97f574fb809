// SPDX-License-Identifier: Apache-2.0
// A few logins at a host at a time. An sshd as shipped refuses connections at random once ten of them have not logged in yet
// (sshd_config(5): MaxStartups 10:30:100), and a gang begins with several programs for each of its VMs.

// Leaves room for other clients of the same host.
const AT_ONCE = 4;

interface Host {
  loggingIn: number;
  readonly waiting: (() => void)[];
}

const hosts = new Map<string, Host>();

/** Does `work`, which logs in at `host`, when its turn has come. @throws the reason of `signal` when aborted while waiting */
export async function inLoginTurn<T>(host: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const state: Host = hosts.get(host) ?? { loggingIn: 0, waiting: [] };
  hosts.set(host, state);
  if (state.loggingIn < AT_ONCE) state.loggingIn++;
  else await turnAt(state, signal);
  try {
    return await work();
  } finally {
    // Handed on, not given back: nobody comes in between.
    const next = state.waiting.shift();
    if (next !== undefined) next();
    else if (--state.loggingIn === 0) hosts.delete(host);
  }
}

async function turnAt({ waiting }: Host, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const turn = (): void => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    };
    const aborted = (): void => {
      waiting.splice(waiting.indexOf(turn), 1);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', aborted, { once: true });
    waiting.push(turn);
  });
}
