import { type ImportedPlacement, importedPlacements } from '@hypostyle/services';
import {
  type Call,
  type ClusterRuleInfo,
  type ClusterRuleSpec,
  data,
  type ImportSpec,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualAppImportSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { byTask } from '../containers/acting.ts';
import { reconfigureCluster } from '../containers/reconfigure-cluster.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import type { HostWish } from '../machines/machine-place.ts';
import { poolAt } from '../pools/pool-tree.ts';

const editCluster = 'Host.Inventory.EditCluster';

/** Why placement groups of a package become no rules in a compute resource; undefined where they do. */
export function whyNoRules(core: CenterCore, { session }: Pick<Call, 'session'>, owner: string): string | undefined {
  const document = core.inventory.find(owner);
  if (document?.type !== 'ClusterComputeResource') return 'a host that is in no cluster has no rules.';
  const cluster = { type: document.type, value: owner };
  if (session !== undefined && core.authorizer.holds(session, cluster, editCluster)) return undefined;
  return `rules of the cluster '${document.name}' take the privilege ${editCluster}.`;
}

export function mayMakeRules(core: CenterCore, call: Pick<Call, 'session'>, owner: string): boolean {
  return whyNoRules(core, call, owner) === undefined;
}

interface Input {
  readonly spec: VirtualAppImportSpec;
  readonly pool: string;
  readonly rules?: boolean;
}

/** The placement groups of a vApp that comes in: heeded where hosts are chosen, and made rules of the cluster. */
export class ImportRules {
  readonly #core: CenterCore;
  readonly #pool: string;
  readonly #groups: readonly ImportedPlacement[];
  /** Hosts of the machines that have one. */
  readonly #hosts = new Map<ImportSpec, string>();

  constructor(core: CenterCore, { spec, pool, rules = false }: Input) {
    this.#core = core;
    this.#pool = pool;
    this.#groups = rules ? importedPlacements(spec) : [];
  }

  /** Where the machine had better go, after those that have a host. */
  wishFor(machine: ImportSpec): HostWish {
    const of = (kind: ImportedPlacement['kind']) => {
      const groups = this.#groups.filter((group) => group.kind === kind && includes(group, machine));
      const hosts = groups.flatMap(({ machines }) => machines.map((one) => this.#hosts.get(one)));
      return new Set(hosts.filter((host) => host !== undefined));
    };
    return { together: of('affinity'), apart: of('availability') };
  }

  placed(machine: ImportSpec, host: string): void {
    this.#hosts.set(machine, host);
  }

  /** Adds the rules, now that the machines have references. */
  make(
    edit: InventoryEdit,
    task: RunningTask,
    made: ReadonlyMap<ImportSpec, ManagedObjectReference | undefined>,
  ): void {
    const cluster = edit.find(poolAt(this.#core.inventory, this.#pool).owner);
    if (cluster?.type !== 'ClusterComputeResource') return;
    const rulesSpec = this.#groups.map(({ name, kind, machines }): ClusterRuleSpec => {
      const vm = machines.flatMap((machine) => made.get(machine) ?? []) as ManagedObjectReference<'VirtualMachine'>[];
      const members = { name, enabled: true, mandatory: false, userCreated: false, vm };
      const info: ClusterRuleInfo =
        kind === 'affinity' ? data('ClusterAffinityRuleSpec', members) : data('ClusterAntiAffinityRuleSpec', members);
      return data('ClusterRuleSpec', { operation: 'add', info });
    });
    if (rulesSpec.length === 0) return;
    const spec = data('ClusterConfigSpecEx', { rulesSpec });
    reconfigureCluster(edit, cluster, { spec, modify: true, post: byTask(task) });
  }
}

function includes({ machines }: ImportedPlacement, machine: ImportSpec): boolean {
  return machines.some((one) => one === machine);
}
