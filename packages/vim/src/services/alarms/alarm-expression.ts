import { compilePath, type PathAccessor } from '../../collector/path-accessor.ts';
import type { DataTypes } from '../../generated/types.ts';
import { VimFault } from '../../runtime/fault.ts';
import type { ManagedObject } from '../../runtime/managed-object.ts';
import { isData } from '../../schema/data.ts';
import type { Schema } from '../../schema/schema.ts';
import { invalidSpec } from './errors.ts';
import { compileEventCondition, type EventCondition } from './event-condition.ts';
import { allOf, anyOf, type Status } from './status.ts';

type Expression = DataTypes['AlarmExpression'];
type MetricExpression = DataTypes['MetricAlarmExpression'];

interface StateLeaf {
  readonly kind: 'state';
  readonly type: string;
  readonly path: PathAccessor;
  readonly equal: boolean;
  readonly yellow: string | undefined;
  readonly red: string | undefined;
}

/** A condition on a counter. */
export interface MetricLeaf {
  readonly kind: 'metric';
  readonly type: string;
  readonly expression: MetricExpression;
  /** Its place among the alarm's conditions. */
  readonly index: number;
}

/** A condition on events. What it made of the alarm is remembered in a slot. */
export interface EventLeaf {
  readonly kind: 'event';
  readonly condition: EventCondition;
  readonly slot: number;
  /** Slots that a match forgets: those of the conditions that it stands beside. */
  readonly clears: readonly number[];
}

interface Group {
  readonly kind: 'and' | 'or';
  readonly members: readonly Node[];
}

type Node = StateLeaf | MetricLeaf | EventLeaf | Group;

/** What an expression is evaluated against. */
export interface Subject {
  readonly object: ManagedObject;
  /** True for the entity that the alarm is defined on. */
  readonly own: boolean;
  /** Status by slot, as events made it. */
  readonly slots: ReadonlyMap<number, Status> | undefined;
  metric(leaf: MetricLeaf): Status;
}

const mostLeaves = 64;
const deepestGroup = 8;
/** What alarms themselves decide: a condition on it could go back and forth for ever. */
const ownEffects = /^(summary\.)?(overallStatus|declaredAlarmState|triggeredAlarmState|alarmActionsEnabled)\b/;

/** An alarm's expression, ready to be evaluated. */
export class CompiledExpression {
  readonly events: readonly EventLeaf[];
  readonly metrics: readonly MetricLeaf[];
  readonly #schema: Schema;
  readonly #root: Node;
  readonly #states: readonly StateLeaf[];
  readonly #roots = new Map<string, readonly string[]>();

  /** Fails with InvalidArgument. */
  constructor(schema: Schema, expression: Expression) {
    this.#schema = schema;
    const reader = new ExpressionReader(schema);
    this.#root = reader.read(expression);
    const { leaves } = reader;
    this.#states = leaves.filter((leaf) => leaf.kind === 'state');
    this.metrics = leaves.filter((leaf) => leaf.kind === 'metric');
    this.events = leaves.filter((leaf) => leaf.kind === 'event');
  }

  /** True when an object of that type can have the alarm; `own` when the alarm is defined on it. */
  appliesTo(type: string, own: boolean): boolean {
    return (
      this.#states.some((leaf) => this.#schema.isSubtype(type, leaf.type)) ||
      this.metrics.some((leaf) => this.#schema.isSubtype(type, leaf.type)) ||
      this.events.some((leaf) => this.concerns(leaf, type, own))
    );
  }

  /** True when something below an object of that type can have the alarm. */
  appliesBelow(type: string): boolean {
    return this.#types().some((leaf) => canContain(this.#schema, type, leaf));
  }

  /** True when an event condition is for objects of that type. */
  concerns({ condition: { objectType } }: EventLeaf, type: string, own: boolean): boolean {
    return objectType === undefined ? own : this.#schema.isSubtype(type, objectType);
  }

  /** Types of the objects that its actions may be run on. */
  targets(ownType: string): readonly string[] {
    return this.events.some(({ condition }) => condition.objectType === undefined)
      ? [...this.#types(), ownType]
      : this.#types();
  }

  /** Properties of objects of that type that the expression looks at. */
  watched(type: string): readonly string[] {
    let roots = this.#roots.get(type);
    if (roots === undefined) {
      const found = new Set<string>();
      for (const leaf of this.#states) if (this.#schema.isSubtype(type, leaf.type)) found.add(leaf.path.root.name);
      // A counter of what is not connected is gray, and the room on a datastore stands in its summary.
      if (this.metrics.some((leaf) => this.#schema.isSubtype(type, leaf.type)))
        found.add(type === 'Datastore' ? 'summary' : 'runtime');
      roots = [...found];
      this.#roots.set(type, roots);
    }
    return roots;
  }

  /** What an object's alarm is as long as nothing happens: states are green then, events gray. */
  baseline(type: string, metricsAreRead: boolean): Status {
    const measured = metricsAreRead && this.metrics.some((leaf) => this.#schema.isSubtype(type, leaf.type));
    return measured || this.#states.some((leaf) => this.#schema.isSubtype(type, leaf.type)) ? 'green' : 'gray';
  }

  evaluate(subject: Subject): Status {
    return this.#evaluate(this.#root, subject);
  }

  #evaluate(node: Node, subject: Subject): Status {
    const { type } = subject.object.ref;
    switch (node.kind) {
      case 'and':
        return allOf(node.members.map((member) => this.#evaluate(member, subject)));
      case 'or':
        return anyOf(node.members.map((member) => this.#evaluate(member, subject)));
      case 'event':
        return this.concerns(node, type, subject.own) ? (subject.slots?.get(node.slot) ?? 'gray') : 'gray';
      case 'metric':
        return this.#schema.isSubtype(type, node.type) ? subject.metric(node) : 'gray';
      case 'state':
        return this.#schema.isSubtype(type, node.type) ? stateStatus(node, subject.object) : 'gray';
    }
  }

  #types(): string[] {
    return [
      ...this.#states.map((leaf) => leaf.type),
      ...this.metrics.map((leaf) => leaf.type),
      ...this.events.map((leaf) => leaf.condition.objectType).filter((type) => type !== undefined),
    ];
  }
}

function stateStatus({ path, equal, yellow, red }: StateLeaf, object: ManagedObject): Status {
  const { value } = path.read(object);
  if (value === undefined || value === null || typeof value === 'object') return 'gray';
  const text = String(value);
  if (red !== undefined && (text === red) === equal) return 'red';
  return yellow !== undefined && (text === yellow) === equal ? 'yellow' : 'green';
}

class ExpressionReader {
  readonly leaves: (StateLeaf | MetricLeaf | EventLeaf)[] = [];
  readonly #schema: Schema;
  #slots = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  read(expression: Expression): Node {
    // An alternative of one: its events share a slot as those of any other alternative do.
    return this.#group('or', [expression], 0, undefined);
  }

  #group(kind: 'and' | 'or', expressions: readonly Expression[], depth: number, outer: number[] | undefined): Group {
    if (expressions.length === 0) throw invalidSpec('expression', 'A group of expressions is not empty.');
    if (depth > deepestGroup) throw invalidSpec('expression', `Expressions are nested ${deepestGroup} deep at most.`);
    const slot = kind === 'or' ? this.#slots++ : 0;
    const nested: number[] = [];
    const members: Node[] = [];
    for (const expression of flattened(kind, expressions, depth)) {
      if (isData('AndAlarmExpression', expression) || isData('OrAlarmExpression', expression)) {
        const inner = isData('AndAlarmExpression', expression) ? 'and' : 'or';
        members.push(this.#group(inner, expression.expression, depth + 1, nested));
      } else if (isData('EventAlarmExpression', expression)) {
        const condition = compileEventCondition(this.#schema, expression);
        if (kind === 'and' && condition.status === undefined) {
          throw invalidSpec('expression.status', 'An event that must come with others needs a status.');
        }
        const own = kind === 'or' ? slot : this.#slots++;
        if (kind === 'and') nested.push(own);
        members.push(this.#leaf({ kind: 'event', condition, slot: own, clears: kind === 'or' ? nested : [] }));
      } else members.push(this.#leaf(this.#condition(expression)));
    }
    outer?.push(...nested, ...(kind === 'or' ? [slot] : []));
    return { kind, members };
  }

  #leaf<T extends StateLeaf | MetricLeaf | EventLeaf>(leaf: T): T {
    if (this.leaves.length >= mostLeaves)
      throw invalidSpec('expression', `An alarm has ${mostLeaves} conditions at most.`);
    this.leaves.push(leaf);
    return leaf;
  }

  #condition(expression: Expression): StateLeaf | MetricLeaf {
    if (isData('StateAlarmExpression', expression)) return this.#state(expression);
    if (isData('MetricAlarmExpression', expression)) {
      const type = this.#entityType(expression.type);
      if (expression.yellow === undefined && expression.red === undefined) throw noThreshold();
      return { kind: 'metric', type, expression, index: this.leaves.length };
    }
    throw invalidSpec('expression', 'This kind of alarm expression is not known.');
  }

  #state({ type: name, statePath, operator, yellow, red }: DataTypes['StateAlarmExpression']): StateLeaf {
    const type = this.#entityType(name);
    if (yellow === undefined && red === undefined) throw noThreshold();
    if (ownEffects.test(statePath)) throw invalidSpec('expression.statePath', `${statePath} is what alarms decide.`);
    try {
      return {
        kind: 'state',
        type,
        path: compilePath(this.#schema, type, statePath),
        equal: operator === 'isEqual',
        yellow,
        red,
      };
    } catch (error) {
      if (!(error instanceof VimFault)) throw error;
      throw invalidSpec('expression.statePath', `${type} has no ${statePath.slice(0, 200)}.`);
    }
  }

  #entityType(name: string): string {
    const type = name.replace(/^vim\./, '');
    if (!this.#schema.isSubtype(type, 'ManagedEntity')) throw invalidSpec('expression.type', `${type} is no entity.`);
    return type;
  }
}

/** An alternative among alternatives is one of them, and so for what must hold together. */
function flattened(kind: 'and' | 'or', expressions: readonly Expression[], depth: number): Expression[] {
  if (depth > deepestGroup) throw invalidSpec('expression', `Expressions are nested ${deepestGroup} deep at most.`);
  return expressions.flatMap((expression) => {
    const same = isData(kind === 'and' ? 'AndAlarmExpression' : 'OrAlarmExpression', expression);
    if (!same) return [expression];
    const { expression: inner } = expression as DataTypes['OrAlarmExpression'];
    if (inner.length === 0) throw invalidSpec('expression', 'A group of expressions is not empty.');
    return flattened(kind, inner, depth + 1);
  });
}

function noThreshold() {
  return invalidSpec('expression', 'An alarm expression has a yellow or a red value.');
}

/** What can lie below an object of a type; a folder or a datacenter holds anything. */
const contents: Readonly<Record<string, readonly string[]>> = {
  ComputeResource: ['HostSystem', 'ResourcePool', 'VirtualMachine'],
  HostSystem: ['VirtualMachine'],
  ResourcePool: ['ResourcePool', 'VirtualMachine'],
  StoragePod: ['Datastore'],
};

function canContain(schema: Schema, type: string, inner: string): boolean {
  if (type === 'Datacenter') return inner !== 'Datacenter';
  if (type === 'Folder') return true;
  for (const [container, types] of Object.entries(contents)) {
    if (!schema.isSubtype(type, container)) continue;
    return types.some((each) => schema.isSubtype(inner, each) || schema.isSubtype(each, inner));
  }
  return false;
}
