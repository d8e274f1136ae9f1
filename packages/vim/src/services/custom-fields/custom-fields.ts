import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObject, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import { Turns } from '../../runtime/turns.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { privilegeIds } from '../authorization/privilege-catalogue.ts';
import type { EventPoster } from '../events/event-poster.ts';
import { entityName } from '../inventory.ts';
import { numberKey, type Persistence, type PersistenceWrite } from '../persistence.ts';

type FieldDefinition = DataTypes['CustomFieldDef'];
type FieldValue = DataTypes['CustomFieldStringValue'];

export interface CustomFieldsOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly events: EventPoster;
  readonly authorizer: Authorizer;
  readonly referenceValue?: string;
}

/** What an entity shows of custom fields, for `Draft.add`. */
export interface CustomFieldProperties {
  readonly availableField: readonly FieldDefinition[];
  readonly value: readonly FieldValue[];
  readonly customValue: readonly FieldValue[];
}

const definitionCollection = 'custom-fields';
const valueCollection = 'custom-field-values';
const counterCollection = 'custom-field-counter';
const longestName = 80;
const longestValue = 4_096;
const mostFields = 1_000;
const setPrivilege = 'Global.SetCustomField';

/** Fields that users define for entities, and their values. An entity's values go with it: see `forget`. */
export class CustomFields {
  readonly ref: ManagedObjectReference<'CustomFieldsManager'>;
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #events: EventPoster;
  readonly #authorizer: Authorizer;
  readonly #privileges: ReadonlySet<string>;
  readonly #definitions = new Map<number, FieldDefinition>();
  /** By the entity's reference value. */
  readonly #values = new Map<string, readonly FieldValue[]>();
  /** Fields of each type, so that its entities share one list. */
  #available = new Map<string, readonly FieldDefinition[]>();
  #lastKey = 0;
  readonly #turns = new Turns();

  private constructor({ registry, persistence, events, authorizer, referenceValue }: CustomFieldsOptions) {
    this.#registry = registry;
    this.#persistence = persistence;
    this.#events = events;
    this.#authorizer = authorizer;
    this.#privileges = new Set(privilegeIds(registry.schema));
    this.ref = registry.commit((draft) =>
      draft.add(this.#class(), referenceValue ?? 'CustomFieldsManager', { field: [] }),
    );
  }

  static async open(options: CustomFieldsOptions): Promise<CustomFields> {
    const { persistence, registry } = options;
    const fields = new CustomFields(options);
    for (const { value } of await persistence.list<FieldDefinition>(definitionCollection))
      fields.#definitions.set(value.key, value);
    for (const { key, value } of await persistence.list<readonly FieldValue[]>(valueCollection))
      fields.#values.set(key, value);
    fields.#lastKey = (await persistence.get<number>(counterCollection, 'last')) ?? 0;
    registry.commit((draft) => draft.set(fields.ref, { field: fields.definitions() }));
    return fields;
  }

  definitions(): FieldDefinition[] {
    return [...this.#definitions.values()];
  }

  /** What an entity shows. Its `summary.customValue`, where it has one, is `customValue` of it. */
  propertiesOf(entity: ManagedObjectReference): CustomFieldProperties {
    const values = this.#values.get(entity.value) ?? [];
    return { availableField: this.#availableTo(entity.type), value: values, customValue: values };
  }

  /** Lets go of the values of an entity that is gone. */
  async forget(entity: ManagedObjectReference): Promise<void> {
    await this.#turns.take(async () => {
      if (!this.#values.has(entity.value)) return;
      await this.#persistence.transact([{ delete: { collection: valueCollection, key: entity.value } }]);
      this.#values.delete(entity.value);
    });
  }

  /** ExtensibleManagedObject.setCustomValue, for the method table of every entity. The field is told by its name. */
  readonly setCustomValue = async (
    call: Call,
    { key, value }: { readonly key: string; readonly value: string },
  ): Promise<void> => {
    const entity = call.self.ref;
    const field = this.#availableTo(entity.type).find(({ name }) => name === key);
    if (field === undefined) throw invalid('key', `There is no custom field '${key.slice(0, longestName)}' here.`);
    await this.#turns.take(() => this.#set(call, entity, { field, value }));
  };

  #class(): ManagedObjectClass<'CustomFieldsManager'> {
    return {
      type: 'CustomFieldsManager',
      methods: {
        AddCustomFieldDef: (call, args) => this.#turns.take(() => this.#add(call, args)),
        RemoveCustomFieldDef: (call, { key }) => this.#turns.take(() => this.#remove(call, key)),
        RenameCustomFieldDef: (call, { key, name }) => this.#turns.take(() => this.#rename(call, key, name)),
        SetField: (call, { entity, key, value }) =>
          this.#turns.take(async () => {
            const field = this.#field(key);
            await this.#set(call, this.#registry.get(entity)?.ref ?? entity, { field, value });
          }),
      },
    };
  }

  async #add(
    call: Call,
    options: {
      readonly name: string;
      readonly moType?: string | undefined;
      readonly fieldDefPolicy?: DataTypes['PrivilegePolicyDef'] | undefined;
      readonly fieldPolicy?: DataTypes['PrivilegePolicyDef'] | undefined;
    },
  ): Promise<FieldDefinition> {
    const { name, moType, fieldDefPolicy, fieldPolicy } = options;
    const { schema } = this.#registry;
    if (moType !== undefined && !(schema.managed(moType) && schema.isSubtype(moType, 'ManagedEntity')))
      throw invalid('moType', `${moType.slice(0, longestName)} is no type of managed entity.`);
    if (this.#definitions.size >= mostFields) throw invalid('name', `There are ${mostFields} custom fields already.`);
    this.#checkName(name, moType, undefined);
    this.#checkPolicy(fieldDefPolicy);
    this.#checkPolicy(fieldPolicy);
    const key = this.#lastKey + 1;
    const definition: FieldDefinition = {
      _typeName: 'CustomFieldDef',
      key,
      name,
      type: 'string',
      ...(moType === undefined ? {} : { managedObjectType: moType }),
      ...(fieldDefPolicy === undefined ? {} : { fieldDefPrivileges: fieldDefPolicy }),
      ...(fieldPolicy === undefined ? {} : { fieldInstancePrivileges: fieldPolicy }),
    };
    await this.#persistence.transact([
      putDefinition(definition),
      { put: { collection: counterCollection, key: 'last', value: key } },
    ]);
    this.#lastKey = key;
    this.#definitions.set(key, definition);
    this.#show(call, 'CustomFieldDefAddedEvent', { fieldKey: key, name });
    return definition;
  }

  async #rename(call: Call, key: number, newName: string): Promise<void> {
    const before = this.#field(key);
    this.#checkName(newName, before.managedObjectType, key);
    this.#require(call, before.fieldDefPrivileges?.updatePrivilege, call.self.ref);
    const renamed = { ...before, name: newName };
    await this.#persistence.transact([putDefinition(renamed)]);
    this.#definitions.set(key, renamed);
    this.#show(call, 'CustomFieldDefRenamedEvent', { fieldKey: key, name: before.name, newName });
  }

  async #remove(call: Call, key: number): Promise<void> {
    const { name, fieldDefPrivileges } = this.#field(key);
    this.#require(call, fieldDefPrivileges?.deletePrivilege, call.self.ref);
    const left = new Map<string, readonly FieldValue[]>();
    for (const [entity, values] of this.#values) {
      const others = values.filter((value) => value.key !== key);
      if (others.length < values.length) left.set(entity, others);
    }
    await this.#persistence.transact([
      { delete: { collection: definitionCollection, key: numberKey(key) } },
      ...[...left].map(([entity, values]) => putValues(entity, values)),
    ]);
    this.#definitions.delete(key);
    for (const [entity, values] of left) this.#keep(entity, values);
    this.#show(call, 'CustomFieldDefRemovedEvent', { fieldKey: key, name });
  }

  async #set(
    call: Call,
    entity: ManagedObjectReference,
    { field, value }: { readonly field: FieldDefinition; readonly value: string },
  ): Promise<void> {
    const { key, name, fieldInstancePrivileges } = field;
    if (!this.#availableTo(entity.type).some((each) => each.key === key))
      throw invalid('key', `The custom field ${name} is not for a ${entity.type}.`);
    if (value.length > longestValue) throw invalid('value', `A value has at most ${longestValue} characters.`);
    this.#require(call, fieldInstancePrivileges?.updatePrivilege, entity);
    const before = this.#values.get(entity.value) ?? [];
    const prevState = before.find((each) => each.key === key)?.value;
    if (prevState === value) return;
    const fresh: FieldValue = { _typeName: 'CustomFieldStringValue', key, value };
    const values = [...before.filter((each) => each.key !== key), fresh].sort((a, b) => a.key - b.key);
    await this.#persistence.transact([putValues(entity.value, values)]);
    this.#keep(entity.value, values);
    const object = this.#registry.get(entity);
    this.#registry.commit((draft) => {
      if (draft.has(entity))
        draft.set(entity as Entity, { value: values, customValue: values, ...inSummary(object, values) });
      this.#events.post(draft, {
        type: 'CustomFieldValueChangedEvent',
        entity,
        userName: actingUser(call),
        members: {
          entity: { _typeName: 'ManagedEntityEventArgument', entity, name: entityName(object) },
          fieldKey: key,
          name,
          value,
          ...(prevState === undefined ? {} : { prevState }),
        },
      });
    });
  }

  /** Tells of a change of definitions: on the manager, and on every entity whose fields or values it changed. */
  #show(call: Call, type: keyof DataTypes, members: object): void {
    this.#available = new Map();
    this.#registry.commit((draft) => {
      draft.set(this.ref, { field: this.definitions() });
      for (const { ref } of this.#registry.all('ManagedEntity')) {
        draft.set(ref as Entity, this.#changedOf(ref));
      }
      this.#events.post(draft, { type, userName: actingUser(call), members });
    });
  }

  /** As `propertiesOf`, without what is as it was, so that an entity with nothing new wakes nobody. */
  #changedOf(entity: ManagedObjectReference): Partial<CustomFieldProperties> {
    const { availableField, value, customValue } = this.propertiesOf(entity);
    const shown = (this.#registry.get(entity)?.value('availableField') ?? []) as readonly FieldDefinition[];
    const same = shown.length === availableField.length && shown.every((each, at) => each === availableField[at]);
    const values = (this.#registry.get(entity)?.value('value') ?? []) as readonly FieldValue[];
    return {
      ...(same ? {} : { availableField }),
      ...(values.length === value.length
        ? {}
        : { value, customValue, ...inSummary(this.#registry.get(entity), customValue) }),
    };
  }

  #keep(entity: string, values: readonly FieldValue[]): void {
    if (values.length === 0) this.#values.delete(entity);
    else this.#values.set(entity, values);
  }

  #availableTo(type: string): readonly FieldDefinition[] {
    let found = this.#available.get(type);
    if (found === undefined) {
      const { schema } = this.#registry;
      found = this.definitions().filter(
        ({ managedObjectType }) => managedObjectType === undefined || schema.isSubtype(type, managedObjectType),
      );
      this.#available.set(type, found);
    }
    return found;
  }

  #field(key: number): FieldDefinition {
    const field = this.#definitions.get(key);
    if (field === undefined) throw invalid('key', `There is no custom field ${key}.`);
    return field;
  }

  #checkName(name: string, moType: string | undefined, except: number | undefined): void {
    if (name.trim() === '' || name.length > longestName)
      throw invalid('name', `The name of a custom field has 1 to ${longestName} characters.`);
    for (const field of this.#definitions.values()) {
      if (field.name !== name || field.managedObjectType !== moType || field.key === except) continue;
      throw fault('DuplicateName', { name, object: this.ref as never }, `The custom field ${name} exists.`);
    }
  }

  #checkPolicy(policy: DataTypes['PrivilegePolicyDef'] | undefined): void {
    for (const [member, privilege] of Object.entries(policy ?? {})) {
      if (member === '_typeName' || this.#privileges.has(privilege as string)) continue;
      throw fault('InvalidPrivilege', { privilege: String(privilege) }, `There is no privilege ${String(privilege)}.`);
    }
  }

  /** A field may ask for a privilege of its own. */
  #require(call: Call, privilege: string | undefined, object: ManagedObjectReference): void {
    if (privilege === undefined || privilege === setPrivilege) return;
    if (call.session === undefined || !this.#authorizer.holds(call.session, object, privilege))
      throw noPermission(object, privilege);
  }
}

type Entity = ManagedObjectReference<'ManagedEntity'>;

/** What a machine's or a host's summary has of custom fields is what they have themselves. */
function inSummary(object: ManagedObject | undefined, customValue: readonly FieldValue[]): object {
  if (object?.ref.type !== 'VirtualMachine' && object?.ref.type !== 'HostSystem') return {};
  const summary = object.value('summary');
  return typeof summary === 'object' ? { summary: { ...summary, customValue } } : {};
}

function invalid(invalidProperty: string, message: string) {
  return fault('InvalidArgument', { invalidProperty }, message);
}

function putDefinition(value: FieldDefinition): PersistenceWrite {
  return { put: { collection: definitionCollection, key: numberKey(value.key), value } };
}

function putValues(key: string, value: readonly FieldValue[]): PersistenceWrite {
  return value.length === 0
    ? { delete: { collection: valueCollection, key } }
    : { put: { collection: valueCollection, key, value } };
}
