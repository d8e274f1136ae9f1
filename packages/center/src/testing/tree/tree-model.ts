import type { TreeNode } from './tree-node.ts';

/** The fault that an operation is refused with. */
export class Refused extends Error {
  readonly fault: string;

  constructor(fault: string) {
    super(fault);
    this.fault = fault;
  }
}

/** The inventory tree in the plainest way: what each operation does to it, and with which fault it is refused. */
export class TreeModel {
  readonly nodes = new Map<string, TreeNode>();
  /** The one host is in maintenance mode. */
  inMaintenance = false;

  add(node: TreeNode): void {
    this.nodes.set(node.value, node);
  }

  get(value: string | undefined): TreeNode {
    const node = this.nodes.get(value ?? '');
    if (node === undefined) throw new Error(`the model has no ${value}`);
    return node;
  }

  all(...kinds: TreeNode['kind'][]): TreeNode[] {
    return [...this.nodes.values()].filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
  }

  children(value: string): TreeNode[] {
    return this.all().filter(({ parent }) => parent === value);
  }

  datacenterOf(node: TreeNode): string | undefined {
    for (let at: TreeNode | undefined = node; at !== undefined; ) {
      if (at.kind === 'Datacenter') return at.value;
      const up: string | undefined = at.parent ?? at.pool;
      at = up === undefined ? undefined : this.get(up);
    }
    return undefined;
  }

  above(value: string | undefined): TreeNode[] {
    const found: TreeNode[] = [];
    for (let at = value; at !== undefined; at = this.get(at).parent) found.push(this.get(at));
    return found;
  }

  /** In a folder its vApps are among the others; a machine of a vApp has the other machines of it beside. */
  checkName(node: Pick<TreeNode, 'kind' | 'name' | 'parent' | 'folder' | 'pool'>, self?: string): void {
    const beside = this.all().filter((other) => {
      if (other.value === self || other.name !== node.name) return false;
      if (node.parent === undefined) return other.kind === 'VirtualMachine' && other.pool === node.pool;
      const places = [node.parent, ...(node.folder === undefined ? [] : [node.folder])];
      return places.some((place) => other.parent === place || other.folder === place);
    });
    if (beside.length > 0) throw new Refused('DuplicateName');
  }

  rename(node: TreeNode, name: string): void {
    if (node.fixed || node.kind === 'ComputeResource' || node.kind === 'HostSystem') throw new Refused('NotSupported');
    this.checkName({ ...node, name }, node.value);
    node.name = name;
  }

  /** What goes with an entity that is destroyed. */
  destroy(node: TreeNode): void {
    if (node.fixed) throw new Refused('NotSupported');
    if (node.kind === 'ResourcePool') {
      this.#dissolve(node);
      return;
    }
    const going = this.#subtree(node);
    if (going.some(({ kind }) => kind === 'HostSystem')) throw new Refused('ResourceInUse');
    for (const { value } of going) this.nodes.delete(value);
  }

  moveIntoFolder(node: TreeNode, folder: TreeNode): void {
    if (node.kind === 'ResourcePool') throw new Refused('NotSupported');
    const inCluster = node.kind === 'HostSystem' && this.get(node.parent).kind === 'ClusterComputeResource';
    if (node.kind === 'HostSystem' && !inCluster) {
      this.moveIntoFolder(this.get(node.parent), folder);
      return;
    }
    if (node.fixed) throw new Refused('NotSupported');
    const holding = {
      Folder: node.holds,
      VirtualApp: 'VirtualMachine',
      ClusterComputeResource: 'ComputeResource',
      HostSystem: 'ComputeResource',
    }[node.kind as 'Folder'];
    if (folder.holds !== (holding ?? node.kind)) throw new Refused('InvalidFolder');
    if (inCluster) throw new Refused('left to the operation');
    if (this.above(folder.value).includes(node)) throw new Refused('InvalidFolder');
    if (folder.holds !== 'Datacenter' && this.datacenterOf(node) !== this.datacenterOf(folder))
      throw new Refused('NotSupported');
    if (node.kind === 'VirtualApp') {
      if (node.folder === undefined) throw new Refused('NotSupported');
      if (node.folder === folder.value) return;
      this.checkName({ ...node, folder: folder.value }, node.value);
      node.folder = folder.value;
      return;
    }
    if (node.parent === undefined) throw new Refused('NotSupported');
    if (node.parent === folder.value) return;
    this.checkName({ ...node, parent: folder.value }, node.value);
    node.parent = folder.value;
  }

  moveIntoPool(node: TreeNode, pool: TreeNode): void {
    if (node.kind === 'VirtualMachine') {
      if (this.get(node.pool).owner !== pool.owner) throw new Refused('InvalidArgument');
      if (node.pool !== pool.value) this.#place(node, this.#inPool(node, pool));
      return;
    }
    if (node.kind !== 'ResourcePool' && node.kind !== 'VirtualApp') throw new Refused('NotSupported');
    if (node.fixed || node.owner !== pool.owner || this.above(pool.value).includes(node))
      throw new Refused('InvalidArgument');
    if (node.parent !== pool.value) this.#place(node, this.#inPool(node, pool));
  }

  /** All machines come into a pool, and the compute resource that they leave is gone. */
  bringMachines(pool: TreeNode, leaving?: TreeNode): void {
    const moves = this.all('VirtualMachine').map((machine) => [machine, this.#inPool(machine, pool)] as const);
    if (leaving !== undefined) {
      const pools = this.all('ResourcePool', 'VirtualApp').filter(({ owner }) => owner === leaving.value);
      for (const { value } of [leaving, ...pools]) this.nodes.delete(value);
    }
    for (const [machine, changes] of moves) this.#place(machine, changes);
  }

  /** An entity gets the reference that it turned out to have. */
  becomes(before: string, value: string): void {
    const named = (other: string | undefined) => (other === before ? value : other);
    for (const node of [...this.nodes.values()]) {
      const changed = { ...node, value: named(node.value) as string };
      for (const member of ['parent', 'folder', 'pool', 'owner'] as const)
        if (node[member] !== undefined) changed[member] = named(node[member]) as string;
      this.nodes.delete(node.value);
      this.nodes.set(changed.value, changed);
    }
  }

  snapshot(): () => void {
    const before = [...this.nodes.values()].map((node) => ({ ...node }));
    return () => {
      this.nodes.clear();
      for (const node of before) this.nodes.set(node.value, node);
    };
  }

  /** As it is in a pool: a vApp has what is in it in no folder, and what leaves it comes into the folder beside. */
  #inPool(node: TreeNode, pool: TreeNode): Partial<TreeNode> {
    const inVApp = pool.kind === 'VirtualApp';
    const outer = this.above(node.kind === 'VirtualMachine' ? node.pool : node.parent).find(
      ({ kind, folder }) => kind === 'VirtualApp' && folder !== undefined,
    )?.folder;
    if (node.kind === 'VirtualMachine') {
      const datacenter = this.get(this.datacenterOf(pool));
      const outside = node.parent ?? outer ?? this.#vmFolder(datacenter);
      return { pool: pool.value, parent: (inVApp ? undefined : outside) as string };
    }
    if (node.kind === 'ResourcePool') return { parent: pool.value };
    return { parent: pool.value, folder: inVApp ? undefined : (node.folder ?? outer) };
  }

  #place(node: TreeNode, changes: Partial<TreeNode>): void {
    const placed = { ...node, ...changes };
    if (placed.parent === undefined) delete placed.parent;
    this.checkName(placed, node.value);
    this.nodes.set(node.value, placed);
  }

  #vmFolder(datacenter: TreeNode): string | undefined {
    return this.children(datacenter.value).find(({ holds }) => holds === 'VirtualMachine')?.value;
  }

  #dissolve(pool: TreeNode): void {
    const parent = this.get(pool.parent);
    const inside = this.all().filter((node) => node.parent === pool.value || node.pool === pool.value);
    const moves = inside.map((node) => [node, this.#inPool(node, parent)] as const);
    this.nodes.delete(pool.value);
    for (const [node, changes] of moves) this.#place(node, changes);
  }

  #subtree(node: TreeNode): TreeNode[] {
    const found = new Set<TreeNode>();
    const visit = (at: TreeNode, inVApp: boolean) => {
      found.add(at);
      const within = inVApp || at.kind === 'VirtualApp';
      for (const other of this.all()) {
        if (found.has(other)) continue;
        if (other.parent === at.value || other.folder === at.value || (within && other.pool === at.value))
          visit(other, within);
      }
    };
    visit(node, false);
    return [...found];
  }
}
