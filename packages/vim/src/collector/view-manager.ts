import type { Authorizer } from '../runtime/authorizer.ts';
import type { Arguments, Call, ManagedObject, ManagedObjectClass, Properties } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { Access } from './access.ts';
import type { ChangeFeed } from './change-feed.ts';
import { ContainerContents, type ViewContents } from './container-contents.ts';
import { invalidArgument, objectNotFound } from './errors.ts';
import { signedIn } from './retrieve-methods.ts';
import { SessionObjects } from './session-objects.ts';

export interface ViewManagerOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly feed: ChangeFeed;
  /** The inventory's root folder, where inventory views begin. */
  readonly rootFolder: ManagedObjectReference<'Folder'>;
  /** Reference value of the manager, `ViewManager` unless told. */
  readonly value?: string;
}

/** Most views of one session. */
const mostViews = 1000;

const containerTypes = ['Folder', 'Datacenter', 'ComputeResource', 'ResourcePool', 'HostSystem'];

type References = ReadonlyMap<string, ManagedObjectReference>;

interface View {
  readonly types: readonly string[];
  contents: ViewContents;
  /** Objects that the view was told to show, and those whose children it shows too. */
  readonly listed: Map<string, ManagedObjectReference>;
  readonly opened: Map<string, ManagedObjectReference>;
}

/** Adds the ViewManager. Views are of one session, and show what is there now. */
export function createViewManager(options: ViewManagerOptions): ManagedObjectReference<'ViewManager'> {
  return new ViewManager(options).add(options.value ?? 'ViewManager');
}

class ViewManager {
  readonly #registry: Registry;
  readonly #authorizer: Authorizer;
  readonly #rootFolder: ManagedObjectReference<'Folder'>;
  readonly #contents: ContainerContents;
  readonly #objects: SessionObjects;
  readonly #views = new Map<string, View>();
  /** Views whose contents changed since they last said so. */
  readonly #changed = new Set<string>();

  constructor({ registry, authorizer, feed, rootFolder }: ViewManagerOptions) {
    this.#registry = registry;
    this.#authorizer = authorizer;
    this.#rootFolder = rootFolder;
    this.#contents = new ContainerContents({ registry, feed });
    this.#objects = new SessionObjects(registry, { most: mostViews });
    feed.onChanges(() => this.#tellChanges());
    // What a view shows depends on who looks.
    authorizer.onChange?.((concerns) => {
      for (const value of this.#views.keys()) {
        const owner = registry.byValue(value)?.owner;
        if (owner !== undefined && concerns(owner)) this.#changed.add(value);
      }
      this.#tellChanges();
    });
  }

  add(value: string): ManagedObjectReference<'ViewManager'> {
    const managerClass: ManagedObjectClass<'ViewManager'> = {
      type: 'ViewManager',
      methods: {
        CreateContainerView: (call, args) => this.#createContainerView(call, args),
        CreateListView: (call, { obj }) => this.#createListView(call, obj ?? []),
        CreateListViewFromView: (call, { view }) => this.#createListView(call, this.#shownBy(call, view)),
        CreateInventoryView: (call) => this.#createInventoryView(call),
      },
      perSession: {
        viewList: (_self, session) => this.#objects.list(session) as readonly ManagedObjectReference<'View'>[],
      },
    };
    return this.#registry.commit((draft) => draft.add(managerClass, value, {}));
  }

  readonly #containerView: ManagedObjectClass<'ContainerView'> = {
    type: 'ContainerView',
    methods: { DestroyView: (call) => this.#destroy(call) },
    ...this.#viewProperty(),
  };

  readonly #listView: ManagedObjectClass<'ListView'> = {
    type: 'ListView',
    methods: {
      DestroyView: (call) => this.#destroy(call),
      ModifyListView: (call, { add, remove }) =>
        this.#change(call, ({ listed }) => {
          for (const { value } of remove ?? []) listed.delete(value);
          return this.#resolve(call, add ?? [], listed);
        }),
      ResetListView: (call, { obj }) =>
        this.#change(call, ({ listed }) => {
          listed.clear();
          return this.#resolve(call, obj ?? [], listed);
        }),
      ResetListViewFromView: async (call, { view }) => {
        const shown = this.#shownBy(call, view);
        await this.#change(call, ({ listed }) => {
          listed.clear();
          return this.#resolve(call, shown, listed);
        });
      },
    },
    ...this.#viewProperty(),
  };

  readonly #inventoryView: ManagedObjectClass<'InventoryView'> = {
    type: 'InventoryView',
    methods: {
      DestroyView: (call) => this.#destroy(call),
      OpenInventoryViewFolder: (call, { entity }) =>
        this.#change(call, ({ opened }) => this.#resolve(call, entity, opened)),
      CloseInventoryViewFolder: (call, { entity }) =>
        this.#change(call, ({ opened }) => {
          for (const { value } of entity) opened.delete(value);
          return entity.filter((ref) => this.#visible(call, ref) === undefined);
        }),
    },
    ...this.#viewProperty(),
  };

  /** The property `view`: links are followed from it whole, and it is shown without what the reader may not see. */
  #viewProperty(): Pick<ManagedObjectClass<'ManagedObjectView'>, 'derived' | 'perSession'> {
    const list = (self: ManagedObject) => {
      const view = this.#views.get(self.ref.value);
      return view?.contents.list(view.types) ?? [];
    };
    return {
      derived: { view: { from: [], compute: list } },
      perSession: {
        view: (self, session) => {
          const access = new Access(this.#authorizer, session);
          return list(self).filter((ref) => this.#present(access, ref) !== undefined);
        },
      },
    };
  }

  async #createContainerView(
    call: Call,
    args: Arguments<'ViewManager', 'CreateContainerView'>,
  ): Promise<ManagedObjectReference<'ContainerView'>> {
    const { recursive } = args;
    const { schema } = this.#registry;
    const container = this.#visible(call, args.container);
    if (container === undefined) throw objectNotFound(args.container);
    if (!containerTypes.some((type) => schema.isSubtype(container.type, type))) {
      throw invalidArgument('container', `A ${container.type} contains nothing that a view could show.`);
    }
    const types = args.type ?? [];
    for (const type of types) {
      if (schema.managed(type) === undefined)
        throw invalidArgument('type', `${type.slice(0, 200)} is no managed type.`);
    }
    const follow = (onChange: () => void) => this.#contents.follow(container, { recursive, onChange });
    const properties = {
      container: container as ManagedObjectReference<'ManagedEntity'>,
      recursive,
      ...(types.length === 0 ? {} : { type: types }),
    };
    return this.#open(call, this.#containerView, { types, follow, properties });
  }

  #createListView(call: Call, objects: readonly ManagedObjectReference[]): Promise<ManagedObjectReference<'ListView'>> {
    const listed = new Map<string, ManagedObjectReference>();
    this.#resolve(call, objects, listed);
    return this.#open(call, this.#listView, { listed });
  }

  #createInventoryView(call: Call): Promise<ManagedObjectReference<'InventoryView'>> {
    const root = this.#rootFolder;
    return this.#open(call, this.#inventoryView, { listed: new Map([[root.value, root]]) });
  }

  async #open<T extends 'ContainerView' | 'ListView' | 'InventoryView'>(
    call: Call,
    objectClass: ManagedObjectClass<T>,
    options: {
      readonly types?: readonly string[];
      readonly listed?: Map<string, ManagedObjectReference>;
      readonly follow?: (onChange: () => void) => Promise<ViewContents>;
      readonly properties?: Partial<Properties<T>>;
    },
  ): Promise<ManagedObjectReference<T>> {
    const { types = [], listed = new Map(), properties = {} } = options;
    const opened = new Map<string, ManagedObjectReference>();
    const follow = options.follow ?? ((onChange) => this.#contents.followThese(listed, { opened, onChange }));
    let value: string | undefined;
    const contents = await follow(() => {
      if (value !== undefined) this.#changed.add(value);
    });
    const view: View = { types, contents, listed, opened };
    const dispose = () => {
      view.contents.close();
      if (value !== undefined) this.#views.delete(value);
    };
    const ref = this.#objects.add(signedIn(call), objectClass, { properties, dispose });
    value = ref.value;
    this.#views.set(value, view);
    return ref;
  }

  /** Changes what a view was told to show; answers what `change` could not resolve. */
  async #change(
    call: Call,
    change: (view: View) => readonly ManagedObjectReference[],
  ): Promise<readonly ManagedObjectReference<never>[]> {
    const { ref } = call.self;
    const view = this.#views.get(ref.value);
    if (view === undefined) throw objectNotFound(ref);
    const unresolved = change(view);
    const onChange = () => this.#changed.add(ref.value);
    let contents = await this.#contents.followThese(view.listed, { opened: view.opened, onChange });
    // What was opened within something now closed is shown no more.
    for (
      let hidden = hiddenFrom(contents, view.opened);
      hidden.length > 0;
      hidden = hiddenFrom(contents, view.opened)
    ) {
      for (const value of hidden) view.opened.delete(value);
      contents.close();
      contents = await this.#contents.followThese(view.listed, { opened: view.opened, onChange });
    }
    if (!this.#views.has(ref.value)) contents.close();
    else {
      view.contents.close();
      view.contents = contents;
      this.#registry.commit((draft) => draft.touch(ref, 'view'));
    }
    return unresolved as readonly ManagedObjectReference<never>[];
  }

  #destroy(call: Call): void {
    this.#objects.remove(signedIn(call), call.self.ref);
  }

  #shownBy(call: Call, ref: ManagedObjectReference): readonly ManagedObjectReference[] {
    const view = this.#visible(call, ref) === undefined ? undefined : this.#views.get(ref.value);
    if (view === undefined) throw objectNotFound(ref);
    return view.contents.list(view.types);
  }

  /** Adds those that are there to `found`; answers the others. */
  #resolve(
    call: Call,
    refs: readonly ManagedObjectReference[],
    found: Map<string, ManagedObjectReference>,
  ): readonly ManagedObjectReference[] {
    return refs.filter((ref) => {
      const present = this.#visible(call, ref);
      if (present !== undefined) found.set(present.value, present);
      return present === undefined;
    });
  }

  #visible({ session }: Call, ref: ManagedObjectReference): ManagedObjectReference | undefined {
    return this.#present(new Access(this.#authorizer, session), ref);
  }

  #present(access: Access, ref: ManagedObjectReference): ManagedObjectReference | undefined {
    const object = this.#registry.get(ref);
    return object !== undefined && access.sees(object) ? object.ref : undefined;
  }

  #tellChanges(): void {
    if (this.#changed.size === 0) return;
    const changed = [...this.#changed].flatMap((value) => this.#registry.byValue(value) ?? []);
    this.#changed.clear();
    this.#registry.commit((draft) => {
      for (const { ref } of changed) draft.touch(ref, 'view');
    });
  }
}

function hiddenFrom(contents: ViewContents, opened: References): string[] {
  const shown = new Set(contents.list([]).map(({ value }) => value));
  return [...opened.keys()].filter((value) => !shown.has(value));
}
