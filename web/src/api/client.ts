import createClient, { type Middleware } from 'openapi-fetch';
import { currentLanguage } from '../i18n';
import { networkProblem, Problem, readProblem } from './problem';
import type { components, paths } from './schema.gen';

export type Node = components['schemas']['Node'];
export type NodePage = components['schemas']['NodePage'];
export type Version = components['schemas']['Version'];
export type Drive = components['schemas']['Drive'];
export type User = components['schemas']['User'];
export type Account = components['schemas']['Account'];
export type AccountEvent = components['schemas']['AccountEvent'];

export const apiPrefix = '/api/v1';

/**
 * The headers that every request of the page carries. Gopan-Client is what tells the server that a cookie came
 * with a request that this page made: another site's page cannot send it without asking first.
 */
export function commonHeaders(): Record<string, string> {
  return { 'Gopan-Client': 'web', 'Accept-Language': currentLanguage() };
}

const middleware: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(commonHeaders())) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) {
      throw readProblem(response.status, await response.text(), response.headers.get('Retry-After'));
    }
    return response;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    return networkProblem();
  },
};

/** The typed client. Whatever is no success is thrown as a Problem. */
export const api = createClient<paths>({ baseUrl: '/' });
api.use(middleware);

/** The body of an answer that has one. */
export function body<T>(answer: { data?: T }): T {
  if (answer.data === undefined) throw new Problem({ status: -1, code: 'unexpected' });
  return answer.data;
}
