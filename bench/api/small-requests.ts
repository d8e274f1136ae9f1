import { processorTime } from './process-use.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';

const connections = 8;

export interface RequestRate {
  /** Requests a second of the server's processor time. */
  readonly perProcessorSecond: number;
  /** Requests a second as this client, which has a processor to itself, got them. */
  readonly perSecond: number;
}

/** How many requests of a kind are answered within `milliseconds`, over eight connections that stay open. */
export async function requestRate(
  subject: Subject,
  body: (session: SoapSession) => string,
  milliseconds: number,
): Promise<RequestRate> {
  const session = await SoapSession.open(subject.address, connections);
  try {
    const content = body(session);
    await ask(session, content, milliseconds / 4);
    const before = processorTime(subject.pid);
    const begun = performance.now();
    const count = await ask(session, content, milliseconds);
    const seconds = (performance.now() - begun) / 1000;
    const processorSeconds = (processorTime(subject.pid) - before) / 1e6;
    return { perProcessorSecond: count / processorSeconds, perSecond: count / seconds };
  } finally {
    session.close();
  }
}

async function ask(session: SoapSession, content: string, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let count = 0;
  const loop = async () => {
    while (performance.now() < end) {
      await session.call(content);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, loop));
  return count;
}
