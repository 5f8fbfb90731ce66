"use strict";
drawWhenNear(charts.draw);
