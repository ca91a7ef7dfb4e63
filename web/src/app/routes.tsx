import { createBrowserRouter, Navigate } from 'react-router';
import { RequireSession } from '../account/RequireSession';
import { SignInPage } from '../account/SignInPage';
import { ExplorerPage } from '../explorer/ExplorerPage';
import { TrashPage } from '../trash/TrashPage';
import { CrashPage, NotFoundPage } from './ErrorPages';
import { Shell } from './Shell';

export const router = createBrowserRouter([
  {
    errorElement: <CrashPage />,
    children: [
      { path: '/signin', element: <SignInPage /> },
      {
        element: <RequireSession />,
        children: [
          {
            element: <Shell />,
            children: [
              { index: true, element: <Navigate to="/files" replace /> },
              { path: '/files/*', element: <ExplorerPage /> },
              { path: '/trash', element: <TrashPage /> },
              { path: '*', element: <NotFoundPage /> },
            ],
          },
        ],
      },
    ],
  },
]);
