// SPDX-License-Identifier: Apache-2.0
export { closestWord } from './closest.ts';
export {
  ANY_TEXT,
  choiceKind,
  durationKind,
  integerKind,
  IP_ADDRESS,
  IPV4_ADDRESS,
  isName,
  NAME,
  nameAmong,
  NIC,
  RATE,
  SSH_HOST,
  TEXT_LINE,
  textKind,
  YES_NO,
} from './kinds.ts';
export { FileError, type FileProblem, problemLines } from './problems.ts';
export { type FilePlace, type Kind, YamlReader } from './reader.ts';
