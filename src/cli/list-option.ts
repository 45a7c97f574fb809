// SPDX-License-Identifier: Apache-2.0

/** For options that may be given again, or with several values after commas. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...value.split(',')];
}
