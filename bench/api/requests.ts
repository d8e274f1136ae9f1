import type { SoapSession } from './soap-session.ts';

/** What machines are asked for. */
export const machinePaths = ['name', 'runtime.powerState', 'config.hardware', 'summary'] as const;

export const currentTime =
  '<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';

/** Makes a view of all machines below the root folder; the value of its reference. */
export async function machineView(session: SoapSession): Promise<string> {
  const { text } = await session.call(
    `<CreateContainerView xmlns="urn:vim25">${session.self('viewManager')}` +
      `<container type="Folder">${session.reference('rootFolder')}</container><type>VirtualMachine</type>` +
      '<recursive>true</recursive></CreateContainerView>',
  );
  const value = /<returnval[^>]*>([^<]+)</.exec(text)?.[1];
  if (value === undefined) throw new Error('CreateContainerView answered no reference');
  return value;
}

function propertySpec(paths: readonly string[]): string {
  const pathSet = paths.map((path) => `<pathSet>${path}</pathSet>`).join('');
  return `<propSet><type>VirtualMachine</type><all>false</all>${pathSet}</propSet>`;
}

/** A filter over a view, as pyVmomi and govc write it. */
export function viewFilter(view: string, paths: readonly string[]): string {
  return (
    propertySpec(paths) +
    `<objectSet><obj type="ContainerView">${view}</obj><skip>true</skip>` +
    '<selectSet xsi:type="TraversalSpec"><name>traverseEntities</name><type>ContainerView</type><path>view</path>' +
    '<skip>false</skip></selectSet></objectSet>'
  );
}

/** A filter that walks from the root folder down to machines, as older scripts have it. */
export function traversalFilter(session: SoapSession, paths: readonly string[]): string {
  const select = (name: string) => `<selectSet><name>${name}</name></selectSet>`;
  return (
    propertySpec(paths) +
    `<objectSet><obj type="Folder">${session.reference('rootFolder')}</obj><skip>true</skip>` +
    '<selectSet xsi:type="TraversalSpec"><name>folder</name><type>Folder</type><path>childEntity</path>' +
    `<skip>false</skip>${select('folder')}${select('datacenter')}</selectSet>` +
    '<selectSet xsi:type="TraversalSpec"><name>datacenter</name><type>Datacenter</type><path>vmFolder</path>' +
    `<skip>false</skip>${select('folder')}</selectSet></objectSet>`
  );
}

export function retrieve(session: SoapSession, filter: string): string {
  return (
    `<RetrievePropertiesEx xmlns="urn:vim25">${session.self('propertyCollector')}` +
    `<specSet>${filter}</specSet><options></options></RetrievePropertiesEx>`
  );
}

/** One property of one machine. */
export function retrieveName(session: SoapSession, machine: string): string {
  return (
    `<RetrieveProperties xmlns="urn:vim25">${session.self('propertyCollector')}<specSet>${propertySpec(['name'])}` +
    `<objectSet><obj type="VirtualMachine">${machine}</obj><skip>false</skip></objectSet></specSet></RetrieveProperties>`
  );
}

/** Reference values of all machines. */
export async function machineReferences(session: SoapSession): Promise<string[]> {
  const { text } = await session.call(retrieve(session, viewFilter(await machineView(session), ['name'])));
  return [...text.matchAll(/<obj[^>]*type="VirtualMachine"[^>]*>([^<]+)<\/obj>/g)].map((match) => match[1] as string);
}
