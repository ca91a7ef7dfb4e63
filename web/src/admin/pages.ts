// The pages that are loaded together, when the first of them is asked for.
export { AdminPages } from './AdminPages';
export { EventsPage } from './EventsPage';
export { GroupsPage } from './GroupsPage';
export { InvitesPage } from './InvitesPage';
export { PolicyPage } from './PolicyPage';
export { StoragePage } from './StoragePage';
export { UsersPage } from './UsersPage';
