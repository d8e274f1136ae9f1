import { fileURLToPath } from 'node:url';
import { ansible } from './ansible.ts';
import type { TestClient } from './case.ts';
import { fenceRest, fenceSoap } from './fence.ts';
import { scriptedClient } from './scripted.ts';
import { virsh } from './virsh.ts';
import { virtV2v } from './virt-v2v.ts';

// Those that read the whole WSDL compute for as long as all else of theirs takes: their quick cases have one endpoint.
const python = '/usr/bin/python3';
const installed = (name: string) => `/usr/lib/python3/dist-packages/${name}`;

/** Clients with machines of their own. */
const withOwnMachines: readonly TestClient[] = [
  scriptedClient({
    name: 'pyVmomi',
    interpreter: python,
    script: 'pyvmomi/run.py',
    needs: { file: installed('pyVmomi'), package: 'python3-pyvmomi' },
  }),
  scriptedClient({
    name: 'rbvmomi',
    interpreter: '/usr/bin/ruby',
    script: 'rbvmomi_cases.rb',
    needs: { file: '/usr/bin/ruby', package: 'ruby-rbvmomi' },
  }),
  scriptedClient({
    // The library that govc, Terraform's provider and Packer's builders are made of: Debian has it as sources.
    name: 'govmomi',
    // It is built before its first case, which takes minutes of a processor.
    quickAt: [],
    interpreter: '/usr/bin/go',
    words: ['run'],
    script: 'govmomi/bed.go',
    more: ['govmomi/machine_cases.go', 'govmomi/other_cases.go'],
    environment: {
      GO111MODULE: 'off',
      GOPATH: '/usr/share/gocode',
      GOFLAGS: '-buildvcs=false',
      // What was built once is linked alone afterwards.
      GOCACHE: fileURLToPath(new URL('../../../.cache/go', import.meta.url)),
    },
    needs: {
      file: '/usr/share/gocode/src/github.com/vmware/govmomi/client.go',
      package: 'golang-github-vmware-govmomi-dev',
    },
  }),
  scriptedClient({
    name: 'oslo.vmware',
    quickAt: ['center'],
    interpreter: python,
    script: 'oslo_cases.py',
    needs: { file: installed('oslo_vmware'), package: 'python3-oslo.vmware' },
  }),
  scriptedClient({
    name: 'zeep',
    interpreter: python,
    script: 'zeep_cases.py',
    needs: { file: installed('zeep'), package: 'python3-zeep' },
  }),
  scriptedClient({
    name: 'suds',
    quickAt: ['host'],
    interpreter: python,
    script: 'suds_cases.py',
    needs: { file: installed('suds'), package: 'python3-suds' },
  }),
  scriptedClient({
    name: 'SOAP::Lite',
    interpreter: '/usr/bin/perl',
    script: 'soap_lite_cases.pl',
    needs: { file: '/usr/share/perl5/SOAP/Lite.pm', package: 'libsoap-lite-perl' },
  }),
];

/** Clients that drive, one after another, the machine that all share; Ansible is here for its length. */
const withSharedMachine: readonly TestClient[] = [virsh, fenceRest, fenceSoap, ansible, virtV2v];

/** Clients of others: those of one lane run one after another, and beside another lane while nobody restarts the guest. */
export const clientLanes: readonly (readonly TestClient[])[] = [withOwnMachines, withSharedMachine];

/** In the order in which they run where there is one lane. */
export const testClients: readonly TestClient[] = clientLanes.flat();
