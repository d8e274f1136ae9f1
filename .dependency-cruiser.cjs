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
  server: ['center', 'host', 'services', 'qemu', 'vswitch', 'store', 'vim', 'contracts'],
  cli: ['server', 'vim', 'vmdk', 'ovf'],
  web: ['vim'],
};

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
      to: { path: '^packages/', pathNot: `^packages/(${[name, ...allowed].join('|')})/` },
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
