import type { Caller } from '@hypostyle/vim';

/** Calls that all end when the signal fires. */
export function boundedCaller(caller: Caller, signal: AbortSignal): Caller {
  return {
    content: () => caller.content(),
    call: (self, method, args, options = {}) =>
      caller.call(self, method, args, {
        ...options,
        signal: options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]),
      }),
  };
}
