import { Button, Menu, useMantineColorScheme } from '@mantine/core';
import { IconDeviceDesktop, IconMoon, IconSun } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

const schemes = [
  { value: 'light', icon: IconSun },
  { value: 'dark', icon: IconMoon },
  { value: 'auto', icon: IconDeviceDesktop },
] as const;

/** Light, dark, or like the system. */
export function ThemeMenu() {
  const { t } = useTranslation();
  const { colorScheme } = useMantineColorScheme();
  const Icon = schemes.find((scheme) => scheme.value === colorScheme)?.icon ?? IconDeviceDesktop;
  return (
    <Menu position="top">
      <Menu.Target>
        <Button variant="subtle" color="gray" size="sm" leftSection={<Icon size={18} />} aria-label={t('app.theme')}>
          {t(`app.${colorScheme}`)}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <ThemeItems />
      </Menu.Dropdown>
    </Menu>
  );
}

export function ThemeItems() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const set = (value: string) => setColorScheme(schemes.find((scheme) => scheme.value === value)?.value ?? 'auto');
  return (
    <Menu.RadioGroup value={colorScheme} onChange={set}>
      {schemes.map(({ value }) => (
        <Menu.RadioItem key={value} value={value} closeMenuOnClick>
          {t(`app.${value}`)}
        </Menu.RadioItem>
      ))}
    </Menu.RadioGroup>
  );
}
