echo t >trigger-file
