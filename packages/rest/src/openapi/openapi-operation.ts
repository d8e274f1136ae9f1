import type { AboutInfo } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { type Operation, operation } from '../operations/operation.ts';
import { openApiDocument } from './openapi-document.ts';

/** Serves the document at `/api/openapi.json`, to anybody: it tells nothing of this center. */
export function openApiOperation(
  operations: readonly Operation[],
  product: Pick<AboutInfo, 'name' | 'version'>,
): Operation {
  let document: object | undefined;
  const self: Operation = operation({
    id: 'openapi.get',
    summary: 'This document.',
    method: 'GET',
    path: '/openapi.json',
    open: true,
    answer: Type.Object({}),
    run: () => {
      document ??= openApiDocument([...operations, self], { title: product.name, version: product.version });
      return document;
    },
  });
  return self;
}
