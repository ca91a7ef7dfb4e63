import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { accountKeys, forgetSession, useMe } from '../account/session';
import { api, body } from '../api/client';
import { Problem } from '../api/problem';
import { noticeProblem } from '../app/notices';
import { joinPath, parentPath } from '../explorer/path';
import { explorerKeys } from '../explorer/queries';
import { ConflictDialog } from './ConflictDialog';
import { findConflict } from './conflicts';
import type { Dropped } from './dropped';
import { UploadEngine } from './engine';
import type { ConflictPolicy } from './item';
import { sendFile } from './send';
import { Refresher } from './refresher';

interface Uploads {
  engine: UploadEngine;
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

  const [engine] = useState(() => {
    const refresher = new Refresher((folder) => {
      void queries.invalidateQueries({ queryKey: explorerKeys.folder(folder) });
      void queries.invalidateQueries({ queryKey: accountKeys.drive });
    });
    return new UploadEngine({
      send: sendFile,
      onStored: (item) => {
        // A new folder shows in the one above it.
        const folder = parentPath(item.path);
        refresher.touch(folder);
        refresher.touch(parentPath(folder));
      },
      onSignedOut: () => forgetSession(queries),
    });
  });

  useEffect(() => {
    owner.current = user?.id;
    if (user) engine.resume(user.id);
  }, [engine, user]);

  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (engine.snapshot().active > 0) event.preventDefault();
    };
    window.addEventListener('beforeunload', warn);
    return () => window.removeEventListener('beforeunload', warn);
  }, [engine]);

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
      const from = owner.current;
      if (from === undefined) return;
      const conflict = await findConflict(
        folder,
        files.map(({ path }) => path),
        kindOf,
      );
      // Where nothing is taken nothing may be overwritten: "rename" is safe should a name be taken meanwhile.
      const policy = conflict === undefined ? 'rename' : await ask(conflict);
      if (policy === undefined) return;
      engine.add(
        files.map(({ path, file }) => ({ path: joinPath(folder, path), file })),
        from,
        policy,
      );
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
    return { engine, preparing, upload };
  }, [engine, preparing, queries, t]);

  const [question] = questions;
  return (
    <UploadsContext value={value}>
      {children}
      {question && <ConflictDialog name={question.name} onAnswer={question.answer} />}
    </UploadsContext>
  );
}

async function kindOf(path: string): Promise<'folder' | 'file' | undefined> {
  try {
    return body(await api.GET('/api/v1/stat', { params: { query: { path } } })).kind;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
}
