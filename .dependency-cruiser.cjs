/** Imports run one way; see docs/architecture.md. Each package names the packages that it may import. */
const arrows = {
  vim: [],
  vmdk: [],
  ovf: [],
  contracts: [],
  qemu: ['contracts'],
  vswitch: ['contracts'],
  store: ['contracts'],
  services: ['vim', 'vmdk', 'ovf', 'contracts'],
  host: ['services', 'vim', 'contracts'],
  center: ['services', 'vim', 'contracts'],
  rest: ['vim'],
  server: ['center', 'rest', 'host', 'services', 'qemu', 'vswitch', 'store', 'vim', 'contracts'],
  cli: ['server', 'vim', 'vmdk', 'ovf'],
  web: ['vim'],
};

/** What tests of a package may import beside: a center is tested with real hosts, a host's fakes serve real exports. */
const tested = { center: ['host', 'store'], host: ['vmdk'] };

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-tests-from-sources',
      severity: 'error',
      from: { pathNot: '\\.test\\.ts$|/testing/' },
      to: { path: '\\.test\\.ts$' },
    },
    ...Object.entries(arrows).map(([name, allowed]) => ({
      name: `arrows-of-${name}`,
      severity: 'error',
      comment: `packages/${name} may import ${allowed.join(', ') || 'no other package'}`,
      from: { path: `^packages/${name}/` },
      to: { path: '^packages/', pathNot: `^packages/(${[name, ...allowed, ...(tested[name] ?? [])].join('|')})/` },
    })),
    ...Object.entries(tested).map(([name, others]) => ({
      name: `only-tests-of-${name}`,
      severity: 'error',
      comment: `only tests of packages/${name} may import ${others.join(', ')}`,
      from: { path: `^packages/${name}/`, pathNot: '\\.test\\.ts$|/testing/' },
      to: { path: `^packages/(${others.join('|')})/` },
    })),
    {
      name: 'packages-stand-alone',
      severity: 'error',
      from: { path: '^packages/' },
      to: { path: '^(tests|bench|scripts)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js'],
    },
  },
};
