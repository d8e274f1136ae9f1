import { type DataTypes, data, type GuestFileAttributes } from '@hypostyle/vim';

export type FileType = 'file' | 'directory' | 'symlink';

/** One file as the guest's `stat` has it. */
export interface GuestFileFacts {
  readonly type: FileType;
  readonly size: number;
  readonly attributes: DataTypes['GuestPosixFileAttributes'];
}

const typeMask = 0o170000;
const directory = 0o040000;
const link = 0o120000;

/** Reads a line of mode in hexadecimal, size, owner, group, access and modification time; undefined for any other. */
export function parseFileFacts(line: string, symlinkTarget?: string): GuestFileFacts | undefined {
  const match = /^([0-9a-f]{1,8}) (\d{1,16}) (\d{1,10}) (\d{1,10}) (-?\d{1,12}) (-?\d{1,12})$/.exec(line.trim());
  if (match === null) return undefined;
  const mode = Number.parseInt(match[1] ?? '', 16);
  const [size, owner, group, accessed, modified] = match.slice(2).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const type = (mode & typeMask) === directory ? 'directory' : (mode & typeMask) === link ? 'symlink' : 'file';
  return {
    type,
    size,
    attributes: data('GuestPosixFileAttributes', {
      modificationTime: at(modified),
      accessTime: at(accessed),
      ...(symlinkTarget === undefined || symlinkTarget === '' ? {} : { symlinkTarget }),
      // Numbers of users beyond the interface's have no name in it.
      ownerId: owner | 0,
      groupId: group | 0,
      permissions: mode & 0o7777,
    }),
  };
}

function at(seconds: number): string {
  const time = new Date(seconds * 1000);
  return (Number.isNaN(time.getTime()) ? new Date(0) : time).toISOString();
}

/** What a client wants a file to have, as the operations take it: mode, owner, group, access and modification time. */
export function attributeParameters(attributes: GuestFileAttributes): string[] {
  const { permissions, ownerId, groupId } = attributes as Partial<DataTypes['GuestPosixFileAttributes']>;
  const seconds = (time: string | undefined) => {
    const value = time === undefined ? Number.NaN : Date.parse(time);
    return Number.isNaN(value) ? '' : `${Math.floor(value / 1000)}`;
  };
  const number = (value: number | undefined) => (value === undefined ? '' : `${value >>> 0}`);
  return [
    permissions === undefined ? '' : (Number(permissions) & 0o7777).toString(8).padStart(4, '0'),
    number(ownerId),
    number(groupId),
    seconds(attributes.accessTime),
    seconds(attributes.modificationTime),
  ];
}
