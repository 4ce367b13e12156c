// What a dashboard of the chart may have: Grafana's own types, with the panels, queries and variables that we use.
// README.md says how dashboard.schema.json is made from this.
import type * as grafana from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

// Of @grafana/prometheus, which has no schema: PromQuery in src/types.ts.
interface PrometheusQuery {
  refId: string;
  hide?: boolean;
  datasource: grafana.DataSourceRef;
  expr: string;
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
  legendFormat?: string;
  interval?: string;
  format?: 'time_series' | 'table' | 'heatmap';
}

// The settings of an annotation that the Prometheus data source reads: src/annotations.ts.
interface PrometheusAnnotation extends grafana.AnnotationQuery {
  expr: string;
  step?: string;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
}

interface Field<Custom> extends Omit<grafana.FieldConfig, 'custom'> {
  custom?: Custom;
}

interface FieldConfigOf<Custom> extends Omit<grafana.FieldConfigSource, 'defaults'> {
  defaults: Field<Custom>;
}

interface PanelOf<Type extends string, Options, Custom>
  extends Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: FieldConfigOf<Custom>;
  targets: PrometheusQuery[];
}

// Names of their own: each panel's module calls its types Options and FieldConfig.
interface TimeSeriesOptions extends timeseries.Options {}
interface TimeSeriesCustom extends timeseries.FieldConfig {}
interface StatOptions extends stat.Options {}

type Panel =
  | PanelOf<'timeseries', TimeSeriesOptions, TimeSeriesCustom>
  | PanelOf<'stat', StatOptions, Record<string, never>>;

interface Row extends Omit<grafana.RowPanel, 'panels'> {
  panels: Panel[];
}

export interface Dashboard extends Omit<grafana.Dashboard, 'panels' | 'annotations' | 'schemaVersion'> {
  schemaVersion: 42;
  annotations: { list?: PrometheusAnnotation[] };
  panels: Array<Panel | Row>;
}
