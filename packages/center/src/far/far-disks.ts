import { fault, type VirtualMachineRelocateSpec } from '@hypostyle/vim';

/** Room of disks on another host, by device key, as a host is asked for it: what the spec says, else as each has it. */
export function roomsOf(
  location: VirtualMachineRelocateSpec,
  keys: readonly number[],
): Readonly<Record<string, string>> {
  const rooms: Record<string, string> = {};
  for (const { diskId } of location.disk ?? [])
    if (!keys.includes(diskId))
      throw fault(
        'InvalidArgument',
        { invalidProperty: 'spec.location.disk.diskId' },
        `The machine has no disk ${diskId}.`,
      );
  for (const key of keys) {
    const locator = location.disk?.find(({ diskId }) => diskId === key);
    const { thinProvisioned, eagerlyScrub } = (locator?.diskBackingInfo ?? {}) as {
      readonly thinProvisioned?: boolean;
      readonly eagerlyScrub?: boolean;
    };
    const said =
      thinProvisioned === true
        ? 'thin'
        : eagerlyScrub === true
          ? 'eager'
          : thinProvisioned === false
            ? 'thick'
            : undefined;
    const room = said ?? (location.transform && (location.transform === 'sparse' ? 'thin' : 'thick'));
    if (room !== undefined) rooms[`disk.${key}`] = room;
  }
  return rooms;
}

/** Throws NotSupported for disks that would stand on others, which are on one host only. */
export function refuseLinks({ diskMoveType, disk = [] }: VirtualMachineRelocateSpec): void {
  for (const type of [diskMoveType, ...disk.map((locator) => locator.diskMoveType)])
    if (type === 'createNewChildDiskBacking' || type === 'moveChildMostDiskBacking')
      throw fault(
        'NotSupported',
        {},
        `spec.location.diskMoveType: '${type}' stands on disks of the host that has them; what comes to another host has all of its bytes.`,
      );
}
