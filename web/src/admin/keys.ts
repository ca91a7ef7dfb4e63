/** Query keys of what administrators see. */
export const adminKeys = {
  users: ['admin', 'users'] as const,
  invites: ['admin', 'invites'] as const,
  groups: ['admin', 'groups'] as const,
  policy: ['admin', 'policy'] as const,
  methods: ['admin', 'methods'] as const,
  storage: ['admin', 'storage'] as const,
  events: ['admin', 'events'] as const,
};
