// contract.mjs - the API's own document, and how answers are held against it.
import Ajv from 'ajv/dist/2020.js';
import assert from 'node:assert/strict';

// validate(schema, value): throws with what is wrong. References go to the document's components.
export function validator(document) {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: 'document', components: document.components });
  const localise = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"document#/components'));
  const compiled = new Map();
  return (schema, value, where) => {
    const text = JSON.stringify(schema);
    if (!compiled.has(text)) compiled.set(text, ajv.compile(localise(schema)));
    const check = compiled.get(text);
    assert.ok(check(value), `${where}: ${ajv.errorsText(check.errors)}\n${JSON.stringify(value)?.slice(0, 2000)}`);
  };
}

export const operations = (document) => Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
const operation = (document, id) => operations(document).find((each) => each.operation.operationId === id).operation;

// The schema of an answer, through the named response if it is one.
export function answerSchema(document, id, status) {
  let response = operation(document, id).responses[status];
  assert.ok(response, `${id} does not document status ${status}`);
  if (response.$ref) response = document.components.responses[response.$ref.split('/').pop()];
  return response.content['application/json'].schema;
}
