import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ManagementEndpoint } from './management-endpoint.ts';
import { smallCenter } from './testing/small-center.ts';
import { serveForTest } from './testing/test-server.ts';

const zeepScript = `
import sys, urllib3, requests, zeep
urllib3.disable_warnings()
session = requests.Session()
session.verify = False
session.trust_env = False
base = sys.argv[1]
client = zeep.Client(base + '/vimService.wsdl', transport=zeep.Transport(session=session))
service = client.service
ref = client.get_type('{urn:vim25}ManagedObjectReference')
t = lambda name: client.get_type('{urn:vim25}' + name)
content = service.RetrieveServiceContent(ref('ServiceInstance', type='ServiceInstance'))
print(content.about.apiType, content.rootFolder._value_1)
try:
    service.Login(content.sessionManager, 'root', 'wrong')
except zeep.exceptions.Fault as fault:
    print(fault.code, fault.message)
print(service.Login(content.sessionManager, 'root', 'secret').userName)
spec = t('PropertyFilterSpec')(
    propSet=[t('PropertySpec')(type='VirtualMachine', pathSet=['name', 'config', 'datastore'])],
    objectSet=[t('ObjectSpec')(obj=ref('vm-1', type='VirtualMachine'))])
result = service.RetrievePropertiesEx(content.propertyCollector, [spec], t('RetrieveOptions')())
values = {p.name: p.val for p in result.objects[0].propSet}
device = values['config'].hardware.device
print(values['name'], len(device), type(device[-1]).__name__, device[-1].macAddress)
print(values['datastore'].ManagedObjectReference[0]._value_1)
`;

const sudsScript = `
import sys, ssl
from suds.client import Client
ssl._create_default_https_context = ssl._create_unverified_context
base = sys.argv[1]
client = Client(base + '/vimService.wsdl', location=base, cache=None)
def ref(type_, value):
    r = client.factory.create('ns0:ManagedObjectReference')
    r._type = type_
    r.value = value
    return r
content = client.service.RetrieveServiceContent(ref('ServiceInstance', 'ServiceInstance'))
print(content.about.apiType, content.rootFolder.value, content.rootFolder._type)
print(client.service.Login(content.sessionManager, 'root', 'secret').userName)
spec = client.factory.create('ns0:PropertyFilterSpec')
prop = client.factory.create('ns0:PropertySpec')
prop.type = 'VirtualMachine'
prop.pathSet = ['name', 'config']
obj = client.factory.create('ns0:ObjectSpec')
obj.obj = ref('VirtualMachine', 'vm-1')
spec.propSet = [prop]
spec.objectSet = [obj]
answer = client.service.RetrievePropertiesEx(content.propertyCollector, [spec], client.factory.create('ns0:RetrieveOptions'))
values = {p.name: p.val for p in answer.objects[0].propSet}
device = values['config'].hardware.device
print(values['name'], len(device), device[-1].__class__.__name__, device[-1].macAddress)
`;

async function run(script: string): Promise<string[]> {
  const center = smallCenter(1);
  await using server = await serveForTest(new ManagementEndpoint(center));
  const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-W', 'ignore', '-c', script, server.url]);
  assert.deepEqual(center.defects, []);
  return stdout.trim().split('\n');
}

test('zeep loads the WSDL, signs in and reads a machine', async () => {
  assert.deepEqual(await run(zeepScript), [
    'VirtualCenter group-d1',
    'ServerFaultCode Cannot complete login due to an incorrect password.',
    'root',
    'machine-1 13 VirtualVmxnet3 00:50:56:00:00:01',
    'datastore-7',
  ]);
});

test('suds loads the WSDL, signs in and reads a machine', async () => {
  assert.deepEqual(await run(sudsScript), [
    'VirtualCenter group-d1 Folder',
    'root',
    'machine-1 13 VirtualVmxnet3 00:50:56:00:00:01',
  ]);
});
