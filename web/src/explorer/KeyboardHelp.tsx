import { Kbd, Modal } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import classes from './KeyboardHelp.module.css';

export function KeyboardHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const control = /mac|iphone|ipad/i.test(navigator.userAgent) ? '⌘' : 'Ctrl';
  const keys: [string[], string][] = [
    [['↑', '↓'], t('help.move')],
    [['Home', 'End'], t('help.firstLast')],
    [['Enter'], t('help.open')],
    [['Backspace'], t('help.up')],
    [[t('help.space')], t('help.select')],
    [['Shift + ↑', 'Shift + ↓', `Shift + ${t('help.click')}`], t('help.extend')],
    [[`${control} + A`], t('help.all')],
    [['Esc'], t('help.clear')],
    [['F2'], t('help.rename')],
    [['Delete'], t('help.trash')],
    [['?'], t('help.show')],
  ];
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t('help.title')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <dl className={classes.list}>
        {keys.map(([names, meaning]) => (
          <div key={meaning} className={classes.line}>
            <dt className={classes.keys}>
              {names.map((name) => (
                <Kbd key={name}>{name}</Kbd>
              ))}
            </dt>
            <dd className={classes.meaning}>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
