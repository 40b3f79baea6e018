import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Logger } from '../telemetry/log.ts'

/** An answer that is not the one asked for. Its message is written for the person who asked; nothing else gets out. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly code: string
  readonly field: string | undefined

  constructor(status: number, code: string, message: string, field?: string) {
    super(message)
    this.status = status
    this.code = code
    this.field = field
  }
}

/** The first thing that is wrong with a body or a query, by the name of its field. */
export const invalid = (issue: z.core.$ZodIssue): Problem => {
  const field = [...issue.path, ...(issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [])].map(String).join('.')
  const said = issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message.replace(/^Invalid input: /, '')
  return new Problem(400, 'INVALID', `${field === '' ? 'the body' : field}: ${said}`, field === '' ? undefined : field)
}

/** Turns whatever was thrown into the one shape of an error. What is not a `Problem` is logged and stays inside. */
export const answerProblem =
  (log: Logger) =>
  (thrown: FastifyError | Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = thrown instanceof Problem ? thrown : translated(thrown)
    if (problem.status === 500)
      log.error(
        { component: 'control', event: 'control.failed', route: request.routeOptions.url ?? null, error: thrown },
        'a request failed',
      )
    return reply.code(problem.status).send(problemBody(problem))
  }

export const problemBody = ({ code, message, field }: Problem): { error: { code: string; message: string; field?: string } } => ({
  error: { code, message, ...(field === undefined ? {} : { field }) },
})

const translated = (error: FastifyError): Problem => {
  if (hasZodFastifySchemaValidationErrors(error)) return fromValidation(error.validation[0])
  switch (error.statusCode) {
    case 413:
      return new Problem(413, 'BODY_TOO_LARGE', 'the body is too large')
    case 415:
      return new Problem(415, 'NOT_JSON', 'the body must be JSON: send it with content-type: application/json')
    case 400:
      return new Problem(
        400,
        'BAD_REQUEST',
        error.code === 'FST_ERR_CTP_EMPTY_JSON_BODY' ? 'the body is empty' : 'the request cannot be read',
      )
    case 414:
      return new Problem(404, 'NOT_FOUND', 'a part of the path is too long')
    default:
      return new Problem(500, 'INTERNAL', 'the service could not answer; its log says why')
  }
}

const fromValidation = (
  issue: { instancePath: string; keyword: string; message?: string; params?: Record<string, unknown> } | undefined,
): Problem => {
  const keys = issue?.params?.['keys']
  const unknown = issue?.keyword === 'unrecognized_keys' && Array.isArray(keys) ? String(keys[0]) : undefined
  const field = unknown ?? (issue?.instancePath ?? '').split('/').filter(Boolean).join('.')
  return new Problem(400, 'INVALID', `${field}: ${unknown === undefined ? (issue?.message ?? 'invalid') : 'is not known here'}`, field)
}
