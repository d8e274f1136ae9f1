import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ManagementEndpoint } from './management-endpoint.ts';
import { smallCenter } from './testing/small-center.ts';
import { serveForTest } from './testing/test-server.ts';

const script = `
import sys
from pyVim import connect
from pyVmomi import vim, vmodl
port = int(sys.argv[1])
def sign_in(password):
    return connect.SmartConnectNoSSL(host='127.0.0.1', port=port, user='root', pwd=password)
try:
    sign_in('wrong')
    raise SystemExit('a wrong password was accepted')
except vim.fault.InvalidLogin as fault:
    print('refused', fault.msg)
center = sign_in('secret')
content = center.RetrieveContent()
print(content.about.apiType, type(content.rootFolder).__name__, center._stub.version)
machines = content.rootFolder.childEntity
print(len(machines), machines[1].name, machines[1].runtime.powerState)
devices = machines[0].config.hardware.device
print(len(devices), type(devices[-1]).__name__, devices[-2].capacityInBytes, devices[8].id)
print(machines[0].summary.config.annotation, machines[0].runtime.bootTime.isoformat())
try:
    vim.VirtualMachine('vm-none', center._stub).name
except vmodl.fault.ManagedObjectNotFound as fault:
    print('gone', fault.obj)
connect.Disconnect(center)
`;

test('pyVmomi signs in, reads machines and is given typed faults', async () => {
  const center = smallCenter(3);
  await using server = await serveForTest(new ManagementEndpoint(center));
  const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-c', script, String(server.port)]);
  assert.deepEqual(stdout.trim().split('\n'), [
    'refused Cannot complete login due to an incorrect password.',
    'VirtualCenter vim.Folder vim.version.version13',
    '3 machine-2 poweredOn',
    '13 vim.vm.device.VirtualVmxnet3 42949672960 5000000001',
    'für Tests 2026-01-01T00:00:00.250000+00:00',
    "gone 'vim.VirtualMachine:vm-none'",
  ]);
  assert.deepEqual(center.defects, []);
});
