// SPDX-License-Identifier: Apache-2.0
// Another suite from where this machine already gets Debian: its own source entry, copied with another suite. Pure.

/** The deb822 stanza or one-line entry for `codename` among the texts of apt's source files, as fields; else undefined. */
export function findSourceEntry(files, codename) {
  for (const { path, text } of files) {
    const entries = path.endsWith('.sources')
      ? text.split(/\n\s*\n/).map(parseStanza)
      : text.split('\n').map(parseLine);
    for (const entry of entries) {
      const suites = entry?.get('suites')?.split(/\s+/) ?? [];
      const types = entry?.get('types')?.split(/\s+/) ?? [];
      if (suites.includes(codename) && types.includes('deb') && entry.get('enabled') !== 'no') return entry;
    }
  }
  return undefined;
}

/** The entry as a deb822 stanza with that suite, for binary packages. */
export function stanzaFor(entry, suite) {
  const fields = new Map([...entry, ['types', 'deb'], ['suites', suite]]);
  return `${[...fields].map(([key, value]) => `${capitalised(key)}: ${value}`).join('\n')}\n`;
}

function parseStanza(text) {
  const fields = new Map();
  let key;
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match !== null) fields.set((key = match[1].toLowerCase()), match[2].trim());
    // A line that begins with space continues the field: keys may stand in the file itself.
    else if (key !== undefined && /^\s/.test(line)) fields.set(key, `${fields.get(key)}\n${line}`);
  }
  return fields;
}

// deb [arch=amd64 signed-by=/key.gpg] http://deb.debian.org/debian bookworm main
function parseLine(line) {
  const match = /^\s*(deb)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
  if (match === null) return undefined;
  const [, types, options = '', uris, suites, components] = match;
  const fields = new Map([
    ['types', types],
    ['uris', uris],
    ['suites', suites],
    ['components', components.trim()],
  ]);
  for (const option of options.split(/\s+/).filter((text) => text.includes('='))) {
    const [name, value] = option.split('=', 2);
    const key = { arch: 'architectures', lang: 'languages', target: 'targets' }[name] ?? name;
    fields.set(key, value.replaceAll(',', ' '));
  }
  return fields;
}

function capitalised(key) {
  if (key === 'uris') return 'URIs';
  return key.replaceAll(/(^|-)([a-z])/g, (_all, dash, letter) => `${dash}${letter.toUpperCase()}`);
}
