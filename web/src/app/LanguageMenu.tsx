import { Button, Menu } from '@mantine/core';
import { IconLanguage } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { currentLanguage, switchLanguage } from '../i18n';
import { closestLanguage, languages, type Language } from '../i18n/language';

/** The language on screen, and the others; each in its own words. */
export function LanguageMenu() {
  const { t } = useTranslation();
  return (
    <Menu position="top">
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="sm"
          leftSection={<IconLanguage size={18} />}
          aria-label={t('app.language')}
        >
          {languages[currentLanguage()]}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <LanguageItems />
      </Menu.Dropdown>
    </Menu>
  );
}

export function LanguageItems() {
  const all = Object.entries(languages) as [Language, string][];
  return (
    <Menu.RadioGroup
      value={currentLanguage()}
      onChange={(language) => void switchLanguage(closestLanguage([language]))}
    >
      {all.map(([language, name]) => (
        <Menu.RadioItem key={language} value={language} lang={language} closeMenuOnClick>
          {name}
        </Menu.RadioItem>
      ))}
    </Menu.RadioGroup>
  );
}
