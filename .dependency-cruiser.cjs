// The import table of ARCHITECTURE.md as rules. A folder may import `common`, `model` and what its row names, through
// the other folder's index.ts only. No exceptions are listed anywhere else.
const MAY_IMPORT = {
  common: null,
  model: [],
  qmp: [],
  tc: [],
  bitmap: [],
  forecast: ['bitmap'],
  decide: ['forecast', 'bitmap'],
  simulate: ['forecast', 'decide', 'bitmap', 'experiment'],
  observe: ['qmp', 'tc', 'bitmap'],
  act: ['qmp', 'tc'],
  experiment: [],
  record: [],
  report: ['record', 'experiment'],
  control: ['observe', 'forecast', 'decide', 'act', 'record', 'qmp', 'tc', 'bitmap'],
  serve: ['record'],
};

const layerRules = Object.entries(MAY_IMPORT).map(([folder, others]) => {
  const shared = folder === 'common' ? [] : folder === 'model' ? ['common'] : ['common', 'model'];
  const allowed = [folder, ...shared, ...(others ?? [])];
  return {
    name: `layer-${folder}`,
    comment: `src/${folder} may import only: ${allowed.join(', ')}`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/', pathNot: `^src/(${allowed.join('|')})/` },
  };
});

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'front-door',
      comment: "Another folder's files are reached through its index.ts only",
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/([^/]+)/', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
    },
    {
      name: 'src-never-testbed',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(testbed|test|bench|scripts)/' },
    },
    {
      name: 'testbed-through-public-entry',
      comment:
        'The testbed is a user of the package: it enters by what package.json exports, and no other way',
      severity: 'error',
      from: { path: '^testbed/' },
      to: { path: '^src/', pathNot: '^src/(index|(qmp|experiment|report|simulate|tc)/index)\\.ts$' },
    },
    {
      name: 'pure-folders',
      comment: 'forecast, decide, simulate and model know no clock, socket or file',
      severity: 'error',
      from: { path: '^src/(forecast|decide|simulate|model)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
