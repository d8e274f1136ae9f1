import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { asStoreError, type OpenDatabase, openDatabase } from './database.ts';
import { Documents } from './documents.ts';
import { commitGroup, type Outcome } from './group-commit.ts';
import type { Failure, Reply, Request, TransactRequest, WorkerSettings } from './protocol.ts';

/** Most batches in one transaction: bounds how long the first of them waits. */
const groupLimit = 1024;

const settings = workerData as WorkerSettings;
const port = parentPort;
if (port === null) throw new Error('this module runs in a worker only');

const answer = (reply: Reply): void => port.postMessage(reply);

function failure(error: unknown): Failure {
  const { code, detail } = asStoreError(error, settings.path);
  return { kind: 'error', code, detail };
}

function outcomeReply(id: number, { conflict, error }: Outcome): Reply {
  if (conflict !== undefined) return { id, failure: { kind: 'conflict', ...conflict } };
  return error === undefined ? { id } : { id, failure: failure(error) };
}

function open(): OpenDatabase | undefined {
  try {
    const opened = openDatabase(settings);
    answer({ id: 0 });
    return opened;
  } catch (error) {
    answer({ id: 0, failure: failure(error) });
    return undefined;
  }
}

const opened = open();
if (opened !== undefined) {
  const { database } = opened;
  const documents = new Documents(database);

  const commit = (group: readonly TransactRequest[]): void => {
    if (group.length === 0) return;
    const outcomes = commitGroup(
      database,
      documents,
      group.map((request) => request.writes),
    );
    group.forEach((request, index) => {
      answer(outcomeReply(request.id, outcomes[index] ?? {}));
    });
  };

  const serve = (request: Exclude<Request, TransactRequest>): void => {
    try {
      if (request.kind === 'get') answer({ id: request.id, json: documents.get(request.collection, request.key) });
      else if (request.kind === 'list') {
        answer({ id: request.id, pages: documents.list(request.collection, request.range) });
      } else {
        opened.close();
        answer({ id: request.id });
        port.close();
      }
    } catch (error) {
      answer({ id: request.id, failure: failure(error) });
    }
  };

  // Whatever came while the last commit was under way waits in the port: take it all, commit it together.
  port.on('message', (first: Request) => {
    let group: TransactRequest[] = [];
    for (let request: Request | undefined = first; request !== undefined; request = nextRequest()) {
      if (request.kind === 'transact') {
        group.push(request);
        if (group.length < groupLimit) continue;
      }
      // A read waits for the batches called before it, and never sees what is not yet on disk.
      commit(group);
      group = [];
      if (request.kind !== 'transact') serve(request);
      if (request.kind === 'close') return;
    }
    commit(group);
  });

  const nextRequest = (): Request | undefined => receiveMessageOnPort(port)?.message as Request | undefined;
}
