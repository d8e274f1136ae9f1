import type { Engine } from '../machine/engine.ts';
import type { AddedMemory } from '../machine/memory-devices.ts';
import { isObject, type JsonObject } from '../qmp/qmp-message.ts';

/** A processor that the machine has, or has a place for. */
export interface CpuPlace {
  /** Of the device that is put there. */
  readonly driver: string;
  /** Socket, core and thread, as the engine names them. */
  readonly place: JsonObject;
  /** None: the place is free. */
  readonly path: string | undefined;
}

/** What is in a drive. */
export interface Medium {
  /** Node of the image. */
  readonly node: string;
  readonly path: string | undefined;
}

/** What a running engine has of what can come and go, by the engine's own names. */
export interface EngineHardware {
  /** Devices that have a name. */
  readonly devices: ReadonlySet<string>;
  /** Images by the name of their drive. */
  readonly media: ReadonlyMap<string, Medium>;
  /** Names of all block nodes. */
  readonly nodes: ReadonlySet<string>;
  readonly cpus: readonly CpuPlace[];
  readonly memory: readonly AddedMemory[];
}

type Monitor = Pick<Engine, 'execute'>;

export async function readEngineHardware(engine: Monitor): Promise<EngineHardware> {
  const [devices, drives, nodes, cpus, memory] = await Promise.all([
    readDevices(engine),
    engine.execute('query-block'),
    engine.execute('query-named-block-nodes', { flat: true }),
    engine.execute('query-hotpluggable-cpus'),
    readAddedMemory(engine),
  ]);
  return {
    devices,
    media: parseMedia(drives, nodes),
    nodes: new Set(objects(nodes).map((node) => String(node['node-name']))),
    cpus: objects(cpus).map(parseCpu),
    memory,
  };
}

export async function readDevices(engine: Monitor): Promise<Set<string>> {
  const list = await engine.execute('qom-list', { path: '/machine/peripheral' });
  return new Set(objects(list).flatMap(({ name, type }) => (String(type).startsWith('child<') ? [String(name)] : [])));
}

/** Memory that came while the machine ran, in the order of its slots. */
export async function readAddedMemory(engine: Monitor): Promise<AddedMemory[]> {
  const list = objects(await engine.execute('query-memory-devices')).map(({ data }) => (isObject(data) ? data : {}));
  const added = list.map(({ id, size, slot, addr }) => ({
    id: String(id),
    bytes: Number(size),
    slot: Number(slot),
    address: Number(addr),
  }));
  return added.sort((a, b) => a.slot - b.slot);
}

function parseMedia(drives: unknown, nodes: unknown): Map<string, Medium> {
  const paths = new Map<string, string>();
  for (const node of objects(nodes)) {
    if (node.drv === 'file' && typeof node.file === 'string') paths.set(String(node['node-name']), node.file);
  }
  const media = new Map<string, Medium>();
  for (const { qdev, inserted } of objects(drives)) {
    const drive = /(?:^|\/)((?:cdrom|floppy)-[A-Za-z0-9._-]+)(?:\/[a-z-]+)?$/.exec(String(qdev))?.[1];
    if (drive === undefined || !isObject(inserted)) continue;
    const node = String(inserted['node-name']);
    media.set(drive, { node, path: paths.get(`${node}-file`) });
  }
  return media;
}

function parseCpu(entry: JsonObject): CpuPlace {
  const path = entry['qom-path'];
  return {
    driver: String(entry.type),
    place: isObject(entry.props) ? entry.props : {},
    path: typeof path === 'string' ? path : undefined,
  };
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
