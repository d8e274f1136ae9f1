import type { CenterBase } from '../center-base.ts';
import type { DatacenterDocument } from './entity-document.ts';

type Tree = Pick<CenterBase, 'inventory'>;

/** Path of a datacenter below the root folder, `Folder/Datacenter`, as `dcPath` has it. */
export function datacenterPath({ inventory }: Tree, datacenter: DatacenterDocument): string {
  const names: string[] = [];
  for (let at = inventory.find(datacenter.value); at?.parent !== undefined; at = inventory.find(at.parent))
    names.unshift(at.name);
  return names.join('/');
}

/** The datacenter at a path below the root folder, or of that name where only one has it. */
export function datacenterAt(core: Tree, path: string): DatacenterDocument | undefined {
  const wanted = path.replace(/^\/+|\/+$/g, '');
  const all = [...core.inventory.all('Datacenter')];
  const found = all.find((datacenter) => datacenterPath(core, datacenter) === wanted);
  if (found !== undefined) return found;
  const named = all.filter(({ name }) => name === wanted);
  return named.length === 1 ? named[0] : undefined;
}
