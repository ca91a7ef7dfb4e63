import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from 'react-router';
import { forgetSession } from '../account/session';
import { createQueryClient } from '../api/queryClient';
import { UploadsProvider } from '../uploads/UploadsProvider';
import { router } from './routes';
import { colorSchemeManager, cssVariables, theme } from './theme';

const queries = createQueryClient(() => forgetSession(queries));

export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      colorSchemeManager={colorSchemeManager}
      defaultColorScheme="auto"
    >
      <QueryClientProvider client={queries}>
        <Notifications position="bottom-center" limit={4} />
        <UploadsProvider>
          <RouterProvider router={router} />
        </UploadsProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}
