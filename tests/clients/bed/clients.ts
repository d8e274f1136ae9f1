import { ansible } from './ansible.ts';
import type { TestClient } from './case.ts';
import { fenceRest, fenceSoap } from './fence.ts';
import { scriptedClient } from './scripted.ts';
import { virsh } from './virsh.ts';
import { virtV2v } from './virt-v2v.ts';

const python = '/usr/bin/python3';
const installed = (name: string) => `/usr/lib/python3/dist-packages/${name}`;

/** Clients of others, in the order in which they run. */
export const testClients: readonly TestClient[] = [
  scriptedClient({
    name: 'pyVmomi',
    interpreter: python,
    script: 'pyvmomi/run.py',
    needs: { file: installed('pyVmomi'), package: 'python3-pyvmomi' },
  }),
  virsh,
  fenceSoap,
  fenceRest,
  ansible,
  scriptedClient({
    name: 'rbvmomi',
    interpreter: '/usr/bin/ruby',
    script: 'rbvmomi_cases.rb',
    needs: { file: '/usr/bin/ruby', package: 'ruby-rbvmomi' },
  }),
  scriptedClient({
    name: 'oslo.vmware',
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
  virtV2v,
];
