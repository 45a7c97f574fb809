// SPDX-License-Identifier: Apache-2.0

/** What `compute` gives, computed when it is first asked for and kept. */
export function once<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => (known ??= { value: compute() }).value;
}
