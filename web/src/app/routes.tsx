import { createBrowserRouter, Navigate, type RouteObject } from 'react-router';
import { linkPath } from '../account/linkToken';
import { RequireSession } from '../account/RequireSession';
import { SignInPage } from '../account/SignInPage';
import { ExplorerPage } from '../explorer/ExplorerPage';
import { TrashPage } from '../trash/TrashPage';
import { CrashPage, NotFoundPage } from './ErrorPages';
import { PageLoader } from './PageLoader';
import { Shell } from './Shell';

type AccountPages = typeof import('../account/pages');
type AdminPages = typeof import('../admin/pages');

/** Pages that few visits need come when they are asked for. */
const account = (name: keyof AccountPages) => async () => ({ Component: (await import('../account/pages'))[name] });
const admin = (name: keyof AdminPages) => async () => ({ Component: (await import('../admin/pages'))[name] });

const accountPages: RouteObject = {
  path: '/account',
  lazy: account('AccountPages'),
  children: [
    { index: true, lazy: account('ProfilePage') },
    { path: 'security', lazy: account('SecurityPage') },
    { path: 'sessions', lazy: account('SessionsPage') },
    { path: 'keys', lazy: account('KeysPage') },
    { path: 'activity', lazy: account('ActivityPage') },
    { path: 'data', lazy: account('DataPage') },
  ],
};

const adminPages: RouteObject = {
  path: '/admin',
  lazy: admin('AdminPages'),
  children: [
    { index: true, element: <Navigate to="/admin/users" replace /> },
    { path: 'users', lazy: admin('UsersPage') },
    { path: 'invites', lazy: admin('InvitesPage') },
    { path: 'groups', lazy: admin('GroupsPage') },
    { path: 'storage', lazy: admin('StoragePage') },
    { path: 'policy', lazy: admin('PolicyPage') },
    { path: 'events', lazy: admin('EventsPage') },
  ],
};

export const router = createBrowserRouter([
  {
    errorElement: <CrashPage />,
    hydrateFallbackElement: <PageLoader />,
    children: [
      { path: '/signin', element: <SignInPage /> },
      { path: '/register', lazy: account('RegisterPage') },
      { path: linkPath, lazy: account('WelcomePage') },
      {
        element: <RequireSession />,
        children: [
          {
            element: <Shell />,
            children: [
              { index: true, element: <Navigate to="/files" replace /> },
              { path: '/files/*', element: <ExplorerPage /> },
              { path: '/trash', element: <TrashPage /> },
              accountPages,
              adminPages,
              { path: '*', element: <NotFoundPage /> },
            ],
          },
        ],
      },
    ],
  },
]);
