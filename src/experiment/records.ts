// SPDX-License-Identifier: Apache-2.0
// Reads `runs.jsonl`: a RunRecord as JSON in each line, appended as runs end.

import { type FileProblem, messageOf } from '../common/index.ts';
import { ExperimentError } from './errors.ts';
import { runRecordProblem } from './run-record-check.ts';
import type { RunRecord } from './run-record.ts';

/**
 * The records, in the order of the file. A last line that a killed writer did not finish is passed over.
 * @throws ExperimentError that names every other line that is not a record
 */
export function parseRunRecords(text: string, fileName = 'runs.jsonl'): RunRecord[] {
  const problems: FileProblem[] = [];
  const records: RunRecord[] = [];
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const { value, error } = parseJson(line);
    // A part of an object's text is never the text of an object, so a last line that can be read is whole.
    if (error !== undefined && index === lines.length - 1) continue;
    const problem = error === undefined ? runRecordProblem(value) : `expected a record as JSON: ${error}`;
    if (problem === null) records.push(value as RunRecord);
    else problems.push({ line: index + 1, path: '', message: problem });
  }
  if (problems.length > 0) throw new ExperimentError(fileName, problems);
  return records;
}

function parseJson(text: string): { readonly value?: unknown; readonly error?: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { error: messageOf(error) };
  }
}
