// SPDX-License-Identifier: Apache-2.0
// What runs are called: the same for a planned run and for the record of one.

/** `guest/link/policy`: the runs that differ only in the repeat. */
export function cellKey(guest: string, link: string, policy: string): string {
  return `${guest}/${link}/${policy}`;
}

/** `guest/link/policy/repeat`. */
export function runKey(run: {
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  readonly repeat: number;
}): string {
  return `${cellKey(run.guest, run.link, run.policy)}/${run.repeat}`;
}

/** A link's text as a part of a directory name; the same for texts that mean the same rate ("64MiB/s", "64 mib"). */
export function linkSlug(link: string): string {
  return link
    .toLowerCase()
    .replace(/\/s\s*$/, '')
    .replaceAll(/\s/g, '');
}

/** A run's key as the name of a directory. None of the parts has a '_' of its own. */
export function runSlug(guest: string, link: string, policy: string, repeat: number): string {
  return [guest, linkSlug(link), policy.replaceAll('@', '.'), repeat].join('_');
}
