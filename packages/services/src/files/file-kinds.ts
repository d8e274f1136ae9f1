/** Kinds of files that HostDatastoreBrowser tells apart, each with its FileQuery and FileInfo. */
export type FileKind =
  | 'folder'
  | 'disk'
  | 'config'
  | 'template'
  | 'snapshot'
  | 'nvram'
  | 'log'
  | 'iso'
  | 'floppy'
  | 'other';

const byExtension: Readonly<Record<string, FileKind>> = {
  vmdk: 'disk',
  dsk: 'disk',
  vmx: 'config',
  vmtx: 'template',
  vmsn: 'snapshot',
  nvram: 'nvram',
  log: 'log',
  iso: 'iso',
  flp: 'floppy',
  img: 'floppy',
};

/** What a file is by its name; extents of disks are not disks. */
export function fileKind(name: string): FileKind {
  const lower = name.toLowerCase();
  if (/-(flat|delta|ctk|sesparse|s\d{3}|f\d{3})\.vmdk$/.test(lower)) return 'other';
  return byExtension[/\.([a-z]+)$/.exec(lower)?.[1] ?? ''] ?? 'other';
}

export const queryKinds: Readonly<Record<string, readonly FileKind[] | 'all'>> = {
  FileQuery: 'all',
  FolderFileQuery: ['folder'],
  VmDiskFileQuery: ['disk'],
  VmConfigFileQuery: ['config', 'template'],
  TemplateConfigFileQuery: ['template'],
  VmSnapshotFileQuery: ['snapshot'],
  VmNvramFileQuery: ['nvram'],
  VmLogFileQuery: ['log'],
  IsoImageFileQuery: ['iso'],
  FloppyImageFileQuery: ['floppy'],
};

export const infoTypes = {
  folder: 'FolderFileInfo',
  disk: 'VmDiskFileInfo',
  config: 'VmConfigFileInfo',
  template: 'TemplateConfigFileInfo',
  snapshot: 'VmSnapshotFileInfo',
  nvram: 'VmNvramFileInfo',
  log: 'VmLogFileInfo',
  iso: 'IsoImageFileInfo',
  floppy: 'FloppyImageFileInfo',
  other: 'FileInfo',
} as const;
