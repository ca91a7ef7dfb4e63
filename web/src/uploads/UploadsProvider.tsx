import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { accountKeys } from '../account/keys';
import { forgetSession, useMe } from '../account/session';
import { api } from '../api/client';
import { noticeProblem } from '../app/notices';
import { joinPath, parentPath } from '../explorer/path';
import { explorerKeys } from '../explorer/queries';
import { ConflictDialog } from './ConflictDialog';
import { findConflict } from './conflicts';
import type { Dropped } from './dropped';
import type { NewUpload } from './engine';
import type { ConflictPolicy, UploadItem } from './item';
import { kindOf, kindsIn } from './lookup';
import { Refresher } from './refresher';
import { routeOf } from './route';
import { Uploader } from './uploader';

interface Uploads {
  uploader: Uploader;
  /** Drops that are still looked through. */
  preparing: number;
  upload: (folder: string, dropped: Promise<Dropped>) => void;
}

const UploadsContext = createContext<Uploads | null>(null);

export function useUploads(): Uploads {
  const uploads = use(UploadsContext);
  if (!uploads) throw new Error('no UploadsProvider');
  return uploads;
}

interface Question {
  name: string;
  answer: (policy: ConflictPolicy | undefined) => void;
}

/** Holds the one upload engine; it goes on whatever page is shown. */
export function UploadsProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data: user } = useMe();
  const [preparing, setPreparing] = useState(0);
  const [questions, setQuestions] = useState<Question[]>([]);
  const owner = useRef(user?.id);

  const [uploader] = useState(() => {
    const refresher = new Refresher((folder) => {
      void queries.invalidateQueries({ queryKey: explorerKeys.folder(folder) });
      void queries.invalidateQueries({ queryKey: accountKeys.drive });
    });
    const onStored = (item: UploadItem) => {
      // A new folder shows in the one above it.
      const folder = parentPath(item.path);
      refresher.touch(folder);
      refresher.touch(parentPath(folder));
    };
    return new Uploader({ onStored, onSignedOut: () => forgetSession(queries) });
  });

  useEffect(() => {
    owner.current = user?.id;
    if (user) uploader.signedIn(user.id);
  }, [uploader, user]);

  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (uploader.engine.snapshot().active > 0) event.preventDefault();
    };
    const onLine = () => uploader.engine.setOnline(navigator.onLine);
    onLine();
    window.addEventListener('beforeunload', warn);
    window.addEventListener('online', onLine);
    window.addEventListener('offline', onLine);
    return () => {
      window.removeEventListener('beforeunload', warn);
      window.removeEventListener('online', onLine);
      window.removeEventListener('offline', onLine);
    };
  }, [uploader]);

  const value = useMemo((): Uploads => {
    const ask = (name: string) =>
      new Promise<ConflictPolicy | undefined>((resolve) => {
        const answer = (policy: ConflictPolicy | undefined) => {
          setQuestions((open) => open.slice(1));
          resolve(policy);
        };
        setQuestions((open) => [...open, { name, answer }]);
      });
    const prepare = async (folder: string, dropped: Promise<Dropped>) => {
      const { files, emptyFolders } = await dropped;
      const placed = files.map(({ path, ...file }) => ({ ...file, path: joinPath(folder, path), below: path }));
      // A file that an interrupted upload waits for goes on with that.
      const fresh = await uploader.reclaim(placed);
      const from = owner.current;
      if (from === undefined) return;
      const conflict = await findConflict(
        folder,
        fresh.map(({ below }) => below),
        kindOf,
        kindsIn,
      );
      // Where nothing is taken nothing may be overwritten: "rename" is safe should a name be taken meanwhile.
      const policy = conflict === undefined ? 'rename' : await ask(conflict);
      if (policy === undefined) return;
      const uploads: NewUpload[] = [];
      for (const { path, file, handle } of fresh) {
        uploads.push({ path, file, handle: routeOf(file.size) === 'session' ? await handle?.() : undefined });
      }
      uploader.engine.add(uploads, from, policy);
      for (const path of emptyFolders) {
        await api.POST('/api/v1/folders', { body: { path: joinPath(folder, path), parents: true } });
      }
      if (emptyFolders.length > 0) await queries.invalidateQueries({ queryKey: explorerKeys.folders });
    };
    const upload = (folder: string, dropped: Promise<Dropped>) => {
      setPreparing((n) => n + 1);
      prepare(folder, dropped)
        .catch((error: unknown) => noticeProblem(t('uploads.nothingUploaded'), error))
        .finally(() => setPreparing((n) => n - 1));
    };
    return { uploader, preparing, upload };
  }, [uploader, preparing, queries, t]);

  const [question] = questions;
  return (
    <UploadsContext value={value}>
      {children}
      {question && <ConflictDialog name={question.name} onAnswer={question.answer} />}
    </UploadsContext>
  );
}
