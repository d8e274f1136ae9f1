import { Bed } from './bed.ts';
import { type Endpoint, endpoints, type Outcome, type TestClient } from './case.ts';

export interface RunOptions {
  readonly bed: Bed;
  readonly clients: readonly TestClient[];
  readonly endpoints?: readonly Endpoint[];
  /** The quick cases alone. */
  readonly quick: boolean;
  /** Those alone whose name has this part. */
  readonly part?: string | undefined;
  readonly tell?: (outcome: Outcome) => void;
}

/** Runs clients one after another, each at the endpoints that it is made for; every outcome. */
export async function runClients(options: RunOptions): Promise<Outcome[]> {
  const { bed, clients, quick, part, tell } = options;
  const outcomes: Outcome[] = [];
  for (const client of clients) {
    for (const endpoint of options.endpoints ?? endpoints) {
      if (!client.endpoints.includes(endpoint) || client.missing !== undefined) continue;
      // Whoever was here before may have left it off. Quick cases leave it as it was, and run beside each other.
      if (!quick) await bed.guestReady();
      await client.run({
        bed,
        face: bed.faces[endpoint],
        quick,
        part,
        tell: (told) => {
          const outcome = { client: client.name, endpoint, ...told };
          outcomes.push(outcome);
          tell?.(outcome);
        },
      });
    }
  }
  return outcomes;
}

/** Where the bed listens: some modules of Ansible know port 443 alone, which takes root. */
export function openBed(): Promise<Bed> {
  if (process.getuid?.() !== 0) return Bed.open();
  // Any address of 127.0.0.0/8 is this machine's.
  const number = () => 1 + Math.floor(Math.random() * 250);
  return Bed.open({ listen: `127.${number()}.${number()}.${number()}:443` });
}
