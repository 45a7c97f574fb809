// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the word that a mistyped one was probably meant to be.

/** How many letters have to be put in, left out or changed to make `b` of `a` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of a.split('').entries()) {
    const next = [index + 1];
    for (let column = 1; column <= b.length; column++) {
      const change = (row[column - 1] ?? 0) + (letter === b[column - 1] ? 0 : 1);
      next.push(Math.min(change, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The candidate nearest to `word`, when no more than a third of its letters (two at least) differ. */
export function closestWord(word: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .filter(
      ({ candidate, distance }) =>
        distance < candidate.length && distance <= Math.max(2, Math.floor(candidate.length / 3)),
    )
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}
