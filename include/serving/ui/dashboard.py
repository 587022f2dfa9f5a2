from serving.ui.single import fill
